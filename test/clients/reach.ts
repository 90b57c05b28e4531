/** How a typed client can be connected to its service. */
import { createRemoteDial } from "../../src/clients/dial/remote-dial.ts";
import { overTunnel, overUnixSocket } from "../../src/clients/dial/open-stream.ts";
import type { Dial } from "../../src/wire/streams/dial.ts";
import type { OpenStream } from "../../src/clients/dial/open-stream.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";

/** The service's Unix socket; a control plane in this process with an agent; CONNECT to the port of that control plane. */
export type ConnectionKind = "unix" | "tunnel" | "remote";

export interface Reached extends AsyncDisposable {
  readonly open: OpenStream;
  /** Undefined without a tunnel. */
  readonly system: System | undefined;
}

/**
 * @param address as in the agent's options: `unix:/path`, or `host:port` for all but `unix`
 * @param over the client's function that opens its target
 */
export async function reach(
  kind: ConnectionKind,
  target: string,
  address: string,
  over: (dial: Dial, runner: string) => OpenStream = (dial, runner) => overTunnel(dial, runner, target),
): Promise<Reached> {
  if (kind === "unix") {
    const open = overUnixSocket(address.replace(/^unix:/, ""));
    return { open, system: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const system = await startSystem({ agents: 0 });
  await system.addAgent({ [RUNNER]: { [target]: address } });
  const dial =
    kind === "tunnel"
      ? system.controlPlane.dial
      : createRemoteDial({ server: system.url, token: ADMIN_TOKEN });
  return {
    open: over(dial, RUNNER),
    system,
    [Symbol.asyncDispose]: () => system.close(),
  };
}

/** Matches a TurnaboutError by its code, for `assert.rejects`. */
export function code(expected: string): { name: string; code: string } {
  return { name: "TurnaboutError", code: expected };
}
