/**
 * Trap: a stream that is not read must hold its own window and nothing else; with the connection's window as its limit
 * it would stop all others.
 * Guards: the windows in src/wire/session/reversed-session.ts; node returns the connection's window at once.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from "../../src/wire/limits.ts";
import { ending, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

/** Together they hold more than the window of the connection. */
const STALLED = Math.ceil(CONNECTION_WINDOW_BYTES / STREAM_WINDOW_BYTES) + 8;

describe(`${STALLED} stalled streams in each direction`, () => {
  it("do not stop a 2 MB echo on the same connection", async () => {
    await using pair = await openSessionPair({
      onStream: (stream, headers) => {
        stream.respond({ ":status": 200 });
        if (headers[":authority"] === "echo.runner") return void stream.pipe(stream);
        stream.pause();
        stream.write(Buffer.alloc(STREAM_WINDOW_BYTES));
      },
    });
    const stalled = Array.from({ length: STALLED }, () => pair.connect("stalled.runner"));
    await Promise.all(stalled.map((stream) => next(stream, "response")));
    for (const stream of stalled) {
      stream.pause();
      stream.write(Buffer.alloc(STREAM_WINDOW_BYTES));
    }
    const payload = Buffer.alloc(2_000_000, "x");
    for (let n = 0; n < 3; n += 1) {
      const socket = pair.tunnel();
      const end = ending(socket);
      socket.end(payload);
      assert.ok((await end).data.equals(payload));
    }
    for (const stream of stalled) stream.destroy(new Error("test"));
  });
});
