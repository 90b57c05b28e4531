/**
 * Trap: a plaintext socket from 'upgrade' is half-open: when the agent dies by FIN the control plane's HTTP/2 session stays for
 * ever, without any event.
 * Guard: `prepare()` in src/wire/session/reversed-session.ts sets `allowHalfOpen = false`.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { RegistryEvent } from "../../src/control/registry/registry.ts";
import { within } from "../support/events.ts";
import type { FaultyPath } from "../support/faulty-path.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startSystem } from "../support/system.ts";

after(() => assertNothingOpen());

/** Well below the interval and the deadline of PING: what is seen is the carrier's own end. */
const WITH_A_FIN_MS = 5_000;

async function loss(fault: (path: FaultyPath) => void, carrier: "ptth" | "websocket"): Promise<void> {
  const lost = Promise.withResolvers<void>();
  const onEvent = (event: RegistryEvent) => {
    if (event.type === "lost") lost.resolve();
  };
  await using system = await startSystem({ faulty: true, controlPlane: { onEvent }, agent: { carrier } });
  assert.ok(system.path);
  fault(system.path);
  await within(lost.promise, "the loss", WITH_A_FIN_MS);
}

for (const carrier of ["ptth", "websocket"] as const) {
  describe(`an agent on ${carrier} that dies`, () => {
    it("is missed at once when its socket gets only FIN", () =>
      loss((path) => path.halfClose("listener"), carrier));
    it("is missed at once when its socket is reset", () => loss((path) => path.reset(), carrier));
    it("is missed at once when its socket closes", () => loss((path) => path.cut(), carrier));
  });
}
