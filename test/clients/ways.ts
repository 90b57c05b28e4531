/** The ways in which a typed client can reach its service. */
import { createRemoteDial } from "../../src/clients/dial/remote-dial.ts";
import { overTunnel, overUnixSocket } from "../../src/clients/dial/open-stream.ts";
import type { Dial } from "../../src/wire/streams/dial.ts";
import type { OpenStream } from "../../src/clients/dial/open-stream.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";

/** Its own socket; a control plane in this process with an agent; and CONNECT at that control plane's port. */
export type Way = "unix" | "tunnel" | "remote";

export interface Reached extends AsyncDisposable {
  readonly open: OpenStream;
  /** Undefined where there is no tunnel. */
  readonly system: System | undefined;
}

/**
 * @param address as in the agent's options: `unix:/path`, or `host:port` for all but `unix`
 * @param over what a client offers for its own target
 */
export async function reach(
  way: Way,
  target: string,
  address: string,
  over: (dial: Dial, runner: string) => OpenStream = (dial, runner) => overTunnel(dial, runner, target),
): Promise<Reached> {
  if (way === "unix") {
    const open = overUnixSocket(address.replace(/^unix:/, ""));
    return { open, system: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const system = await startSystem({ agents: 0 });
  await system.addAgent({ [RUNNER]: { [target]: address } });
  const dial =
    way === "tunnel"
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
