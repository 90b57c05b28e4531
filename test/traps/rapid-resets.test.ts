/**
 * Trap: nghttp2 counts the resets that the agent receives, because it has the server role: after about 1000 in a burst it
 * sends GOAWAY and the tunnel is dead.
 * Guard: `streamResetBurst` and `streamResetRate` in src/wire/session/reversed-session.ts.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { ending, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";
import type { SessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

const ABORTS = 3_000;

async function assertAlive(pair: SessionPair): Promise<void> {
  assert.equal(pair.control.closed, false);
  const socket = pair.tunnel();
  const end = ending(socket);
  socket.end("alive");
  assert.equal((await end).data.toString(), "alive");
}

describe(`${ABORTS} aborted streams in a row`, () => {
  it("leave the tunnel alive when the consumers abort", async () => {
    await using pair = await openSessionPair({
      onStream: (stream) => {
        stream.respond({ ":status": 200 });
        stream.pipe(stream);
      },
    });
    for (let n = 0; n < ABORTS; n += 1) {
      const stream = pair.connect();
      await next(stream, "response");
      stream.destroy(new Error("aborted"));
    }
    await assertAlive(pair);
  });

  it("leave the tunnel alive when the targets abort", async () => {
    await using pair = await openSessionPair({
      onStream: (stream, headers) => {
        stream.respond({ ":status": 200 });
        if (headers[":authority"] === "reset.runner") stream.destroy(new Error("aborted"));
        else stream.pipe(stream);
      },
    });
    for (let n = 0; n < ABORTS; n += 1) {
      assert.equal((await ending(pair.tunnel("reset.runner"))).kind, "error");
    }
    await assertAlive(pair);
  });
});
