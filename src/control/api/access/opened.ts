/** What credentials have open: a revocation closes it. */
import type { Identity } from "../../auth/identity.ts";
import { MAX_LISTED_RUNNERS } from "../../limits.ts";
import type { AppContext } from "../context.ts";

export interface Opened {
  /** Requests, WebSockets, tunnels and event streams. */
  streams: number;
  sign_ins: number;
  /** Of agents. */
  connections: number;
  /** Some of the runners that these serve, and how many there are. */
  runners: string[];
  runner_count: number;
}

export function openedBy(
  isMeant: (identity: Identity) => boolean,
  {
    activeStreams,
    openConnections,
    signIns,
  }: Pick<AppContext, "activeStreams" | "openConnections" | "signIns">,
): Opened {
  const connections = [...openConnections].filter(({ identity }) => isMeant(identity));
  const runners = new Set(connections.flatMap((connection) => [...connection.runners.keys()]));
  return {
    streams: activeStreams.countOf(isMeant),
    sign_ins: signIns.countOf(isMeant),
    connections: connections.length,
    runners: [...runners].slice(0, MAX_LISTED_RUNNERS),
    runner_count: runners.size,
  };
}
