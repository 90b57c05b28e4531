/** RevDial clients at a real `turnabout serve`. */
import { call, runnersUntil } from "../support/http.ts";
import type { RunnerListing } from "../support/http.ts";
import { GoProgram } from "./go-program.ts";

export const PART = "turnabout-revdial-client";

/** The two of Helix's commands: what they share is the wire. */
export type Dialect = "revdial-client" | "wolf-revdial-client";

export interface ClientOptions {
  runner: string;
  /** `host:port` or `unix://PATH`. */
  local: string;
  token: string;
  dialect?: Dialect;
  args?: readonly string[];
}

/** Does not wait: a client may be meant to fail. Its pause between attempts is short. */
export function startClient(
  url: string,
  { runner, local, token, dialect, args = [] }: ClientOptions,
): GoProgram {
  const wolf = dialect === "wolf-revdial-client" ? ["-wolf"] : [];
  const own = ["-server", url, "-runner-id", runner, "-token", token, "-local", local, "-reconnect", "100ms"];
  return new GoProgram(PART, [...own, ...wolf, ...args]);
}

/** As {@link startClient}; resolves when its runner is connected. */
export async function connectClient(url: string, options: ClientOptions): Promise<GoProgram> {
  const client = startClient(url, options);
  await connected(url, options.runner).catch((error: unknown) => {
    throw new Error(`not connected: ${client.lines.all.join(" / ")}`, { cause: error });
  });
  return client;
}

/** The runner's row, as soon as it is connected, by `carrier` where that is given. */
export async function connected(url: string, runner: string, carrier?: string): Promise<RunnerListing> {
  const isIt = (row: RunnerListing) =>
    row.id === runner && row.state === "connected" && (carrier === undefined || row.carrier === carrier);
  const rows = await runnersUntil(url, (all) => all.some(isIt), `${runner} by ${carrier ?? "any carrier"}`);
  const row = rows.find(isIt);
  if (row === undefined) throw new Error(`no row of ${runner}`);
  return row;
}

/** A token for agents, which may register any runner. */
export async function issueFleetToken(url: string, id: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ id, kind: "runner", runners: ["*"] });
  const response = await call(`${url}/api/v1/tokens`, { method: "POST", headers, body });
  return (JSON.parse(response.body) as { token: string }).token;
}
