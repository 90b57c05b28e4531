/**
 * Trap: `ping()` has no deadline, `session.setTimeout` destroys nothing, TCP keep-alive does not act on unacknowledged
 * data; on a WebSocket carrier `session.destroy(error)` is not even enough: the Duplex below has to go too.
 * Guards: src/wire/session/keepalive.ts at both ends; `destroyHttp2Session()` in src/wire/session/reversed-session.ts destroys the carrier as well.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { AgentLifecycleEvent } from "../../src/agent/config.ts";
import type { RegistryEvent } from "../../src/control/registry/registry.ts";
import { ending, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../support/system.ts";

after(() => assertNothingOpen());

const KEEPALIVE = { pingIntervalMs: 100, pingDeadlineMs: 200 };

describe("a path that went silent, with 20 streams full of data", () => {
  for (const carrier of ["ptth", "rh2", "websocket", "h2"] as const) {
    it(`is noticed by both ends on ${carrier}, and no stream ends cleanly`, async () => {
      const lostByControl = Promise.withResolvers<void>();
      const lostByAgent = Promise.withResolvers<void>();
      await using system = await startSystem({
        faulty: true,
        tls: carrier === "rh2",
        controlPlane: {
          ...KEEPALIVE,
          onEvent: (event: RegistryEvent) => {
            if (event.type === "lost") lostByControl.resolve();
          },
        },
        agent: {
          ...KEEPALIVE,
          carrier,
          onEvent: (event: AgentLifecycleEvent) => {
            if (event.type === "lost") lostByAgent.resolve();
          },
        },
      });
      const dials = Array.from({ length: 20 }, () => system.controlPlane.dial(RUNNER, TARGET));
      const sockets = await Promise.all(dials);
      const ends = sockets.map((socket) => ending(socket));
      for (const socket of sockets) socket.write(Buffer.alloc(50_000));
      system.path?.stall();
      for (const socket of sockets) socket.write(Buffer.alloc(1_000_000));
      await within(lostByControl.promise, "the loss at the control plane");
      await within(lostByAgent.promise, "the loss at the agent");
      for (const { kind, code } of await Promise.all(ends))
        assert.deepEqual([kind, code], ["error", "tunnel_lost"]);
    });
  }
});
