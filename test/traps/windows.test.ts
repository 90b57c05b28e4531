/**
 * Trap: with default windows the whole tunnel moves 64 KiB a round trip; `initialWindowSize` alone changes nothing, and
 * `setLocalWindowSize` has to come after the connect.
 * Guard: SETTINGS and `established()` in src/wire/session/reversed-session.ts, both ends.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { CONNECTION_WINDOW_BYTES, MAX_FRAME_BYTES, STREAM_WINDOW_BYTES } from "../../src/wire/limits.ts";
import { TEST_CARRIERS } from "../support/carriers.ts";
import { next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

describe("flow-control windows", () => {
  for (const carrier of TEST_CARRIERS) {
    it(`are raised at both ends of a ${carrier} carrier`, async () => {
      await using pair = await openSessionPair({ carrier });
      for (const session of [pair.agent, pair.control]) {
        assert.equal(session.state.effectiveLocalWindowSize, CONNECTION_WINDOW_BYTES);
        assert.equal(session.remoteSettings.initialWindowSize, STREAM_WINDOW_BYTES);
        assert.equal(session.remoteSettings.maxFrameSize, MAX_FRAME_BYTES);
      }
    });
  }

  it("let more than 64 KiB onto a stream that is not read, in both directions", async () => {
    await using pair = await openSessionPair();
    const opened = pair.nextStream();
    const consumer = pair.connect();
    const agent = await opened;
    await next(consumer, "response");
    const size = STREAM_WINDOW_BYTES - MAX_FRAME_BYTES;
    for (const stream of [consumer, agent]) {
      const flushed = Promise.withResolvers<void>();
      stream.write(Buffer.alloc(size), () => flushed.resolve());
      await flushed.promise;
    }
    consumer.destroy();
  });
});
