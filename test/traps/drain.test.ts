/**
 * Traps: `session.close()` never completes while a stream is open, an endless one of our own included; a request on a closing
 * session fails only by an 'error' event; after a GOAWAY no PING is sent any more.
 * Guards: drain deadlines in src/agent/agent.ts and src/control/registry/agent-connection.ts; `serveEvents()` in
 * src/agent/streams/control-routes.ts ends /events; `openStream()` in src/control/registry/agent-connection.ts looks first.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { ending, eventually, next, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../support/system.ts";

after(() => assertNothingOpen());

const LONG_MS = 60_000;

describe("a drain", () => {
  for (const side of ["agent", "control plane"] as const) {
    // Only the side that drains has a short deadline, so that it is its own that acts.
    const start = (drainMs: number) =>
      startSystem({
        agent: { drainMs: side === "agent" ? drainMs : LONG_MS },
        controlPlane: { drainMs: side === "agent" ? LONG_MS : drainMs, graceMs: 50 },
      });

    it(`of the ${side} ends at once when only its own endless streams are open`, async () => {
      await using system = await start(LONG_MS);
      const closing = side === "agent" ? system.agent.close() : system.controlPlane.close();
      await within(closing, "the end of the drain");
    });

    it(`of the ${side} lets a stream in flight finish, and opens no other`, async () => {
      await using system = await start(LONG_MS);
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      socket.write("before ");
      await next(socket, "readable");
      const closing = side === "agent" ? system.agent.close() : system.controlPlane.close();
      await assert.rejects(system.controlPlane.dial(RUNNER, TARGET), {
        code: side === "agent" ? "runner_offline" : "control_plane_draining",
      });
      const end = ending(socket);
      socket.end("after");
      assert.deepEqual([(await end).kind, (await end).data.toString()], ["end", "before after"]);
      await within(closing, "the end of the drain");
    });

    it(`of the ${side} breaks off at its deadline what does not finish`, async () => {
      await using system = await start(100);
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      const end = ending(socket);
      const target = await system.target.accepted();
      const gone = next(target, "close").catch(() => {}); // a reset is an 'error' first
      const closing = side === "agent" ? system.agent.close() : system.controlPlane.close();
      assert.equal((await end).kind, "error");
      await within(closing, "the end of the drain");
      await gone;
      await eventually(() => system.target.sockets.size === 0, "the end of the target's connection");
    });
  }
});
