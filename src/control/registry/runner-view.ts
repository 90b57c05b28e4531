/** A runner as the API, the library and the other rooms see it. */
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Entry, RunnerState } from "./entries.ts";

export interface RunnerView {
  id: string;
  state: RunnerState;
  /** When the present state began. */
  since: Date;
  info: RunnerInfo | undefined;
  /** Targets whose last connect failed. */
  unhealthy: ReadonlySet<string>;
  /** Id of the credential of the upstream in use, or of the last one. */
  credential: string | undefined;
  /** When the agent's process started, in Unix milliseconds; 0 if unknown. */
  bootEpochMs: number | undefined;
  /** The upstream in use is an agent that has discovered the runner. */
  discovered: boolean;
  /** Connections of the upstream in use. */
  connections: readonly AgentConnection[];
  /** Connections of stand-bys and discoverers: they take over when those in use are lost. */
  fallbackConnections: readonly AgentConnection[];
  waitingDials: number;
}

export function viewOf({ id, state, since, upstreams, waiting }: Entry): RunnerView {
  const { inUse } = upstreams;
  const known = upstreams.known ?? upstreams.own;
  return {
    id,
    state,
    since,
    info: known?.info,
    unhealthy: known?.unhealthy ?? new Set(),
    credential: known?.credential,
    bootEpochMs: known?.bootEpochMs,
    discovered: known?.isDiscovered === true,
    connections: [...(inUse?.connections ?? [])],
    fallbackConnections: upstreams
      .all()
      .filter((upstream) => upstream !== inUse)
      .flatMap(({ connections }) => [...connections]),
    waitingDials: waiting.size,
  };
}
