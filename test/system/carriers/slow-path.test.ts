/** A live but slow path: PINGs and their replies queue behind bulk for far longer than their deadline. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { setTimeout as watched } from "node:timers/promises";
import type { AgentLifecycleEvent } from "../../../src/agent/config.ts";
import { EventLog } from "../../support/event-log.ts";
import { within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

after(() => assertNothingOpen());

const DEADLINE_MS = 300;
const keepalive = { pingIntervalMs: 50, pingDeadlineMs: DEADLINE_MS };
/** Kernel buffers hold megabytes: at this rate whatever is written behind them waits for many deadlines. */
const BYTES_PER_S = 200_000;
const WATCHED_MS = 4 * DEADLINE_MS;

describe("a connection whose path is slow and full", { concurrency: true }, () => {
  for (const carrier of ["ptth", "websocket", "rh2", "h2"] as const) {
    for (const direction of ["download", "upload"] as const) {
      it(`lives through bulk that is ${direction}ed on ${carrier}, and a black hole in it is noticed`, async () => {
        const events = new EventLog<AgentLifecycleEvent>();
        const block = Buffer.alloc(64 * 1024);
        await using target = await startTarget((socket) => {
          if (direction === "upload") return void socket.resume();
          const pour = (): void => {
            while (socket.writable && socket.write(block));
          };
          socket.on("drain", pour);
          pour();
        });
        await using system = await startSystem({
          tls: carrier === "rh2",
          faulty: true,
          target,
          controlPlane: keepalive,
          agent: { ...keepalive, carrier, onEvent: events.push },
        });
        const { path, controlPlane } = system;
        path?.throttle(direction === "download" ? "listener" : "dialler", BYTES_PER_S);
        const socket = await controlPlane.dial(RUNNER, TARGET);
        const closed = Promise.withResolvers<void>();
        socket.on("error", () => {});
        socket.once("close", () => closed.resolve());
        let moved = 0;
        socket.on("data", (chunk: Buffer) => (moved += chunk.length));
        if (direction === "upload") socket.write(Buffer.alloc(8 * 1024 * 1024));
        await watched(WATCHED_MS);
        assert.equal(socket.destroyed, false);
        assert.equal(
          events.all.some(({ type }) => type === "lost"),
          false,
          "the connection lives",
        );
        if (direction === "download") assert.ok(moved > 0);
        path?.stall();
        await events.find(({ type }) => type === "lost", "the black hole");
        await within(closed.promise, "the end of the stream");
      });
    }
  }
});
