/** A system with a RevDial client, for tests of what goes wrong with them. */
import assert from "node:assert/strict";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import { next } from "../../support/events.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import type { RevDialClientOptions } from "../../support/revdial-client.ts";
import { RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import type { TestTarget } from "../../support/target.ts";

/** The one target of {@link RUNNER}. */
export const TARGET = "default";

function runnerToken(id: string, runners: string[]): TokenRecord {
  return { id, kind: "runner", sha256: hashToken(id), runners };
}

export const TOKENS: TokenRecord[] = [
  runnerToken("ours", [RUNNER]),
  runnerToken("theirs", ["*"]),
  { ...runnerToken("caller", ["*"]), kind: "admin" },
];

export interface RevDialStand extends AsyncDisposable {
  system: System;
  client: RevDialClient;
  /** A further client that picks up, closed with the stand. */
  connect(target: TestTarget): Promise<RevDialClient>;
}

/** A system with one client, which serves an echo by default; all of them are closed with it. */
export async function startRevDial(
  { target, ...options }: Partial<RevDialClientOptions> & { target?: TestTarget } = {},
  controlPlane: ControlPlaneOptions = {},
): Promise<RevDialStand> {
  const stack = new AsyncDisposableStack();
  if (target !== undefined) stack.use(target);
  const faulty = controlPlane.pingIntervalMs !== undefined;
  const system = stack.use(
    await startSystem({ agents: 0, faulty, controlPlane: { tokens: TOKENS, ...controlPlane } }),
  );
  const connect = async (to: TestTarget, own: Partial<RevDialClientOptions> = {}): Promise<RevDialClient> => {
    const urls = { url: system.agentUrl, pickupUrl: system.url };
    return stack.use(await RevDialClient.connect({ ...urls, target: to, token: "ours", ...own }));
  };
  const client = await connect(target ?? system.target, options);
  return {
    system,
    client,
    connect: (to) => connect(stack.use(to)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export async function assertServes(system: System): Promise<void> {
  const socket = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
  socket.write("echo");
  assert.equal(String((await next<[Buffer]>(socket, "data"))[0]), "echo");
  socket.destroy();
}
