/**
 * Trap: bytes of a stream that is not read to its end still count against the window of the whole connection. An end that
 * does not give them back when the stream is refused or reset stops all streams after 32 MiB of them (RFC 9113 §6.9).
 * Guards: node gives connection credit back on arrival; `refuse()` in src/agent/streams/reach-target.ts reads and drops early data.
 */
import assert from "node:assert/strict";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { after, describe, it } from "node:test";
import { refuse } from "../../src/agent/streams/reach-target.ts";
import { CONNECTION_WINDOW_BYTES } from "../../src/wire/limits.ts";
import { ending, eventually, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { echoStream, openSessionPair } from "../support/session-pair.ts";
import type { SessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

const PIECE = Buffer.alloc(64 * 1024);
/** 64 MiB: twice the window of the connection. */
const STREAMS = 1_000;
const AT_ONCE = 50;

/** Each stream is opened, and ends in the way that `use` says. */
async function many(pair: SessionPair, use: (pair: SessionPair) => Promise<void>): Promise<void> {
  for (let n = 0; n < STREAMS; n += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, async () => use(pair)));
  }
}

/** Credit is given back in steps of half a window. */
async function assertWhole(pair: SessionPair): Promise<void> {
  const least = CONNECTION_WINDOW_BYTES / 2;
  const ends = [pair.control, pair.agent];
  await eventually(
    () => ends.every(({ state }) => (state.remoteWindowSize ?? 0) >= least),
    `windows: ${ends.map(({ state }) => state.remoteWindowSize).join(", ")}`,
  );
  const echo = pair.connect("echo.runner");
  const end = ending(echo);
  echo.end(Buffer.alloc(1_000_000));
  assert.equal((await end).data.length, 1_000_000);
}

/** Whether with an error or without. */
function closeOf(stream: ClientHttp2Stream): Promise<void> {
  return within(new Promise((resolve) => void stream.once("close", () => resolve())), "the end of a stream");
}

function onStream(act: (stream: ServerHttp2Stream) => void) {
  return (stream: ServerHttp2Stream, headers: { ":authority"?: string | undefined }): void => {
    if (headers[":authority"] === "echo.runner") echoStream(stream);
    else act(stream);
  };
}

describe("the window of a connection", () => {
  it("is whole after early data to refused streams", async () => {
    await using pair = await openSessionPair({
      onStream: onStream((stream) => refuse(stream, "target_refused")),
    });
    await many(pair, async () => {
      const stream = pair.connect("refused.runner");
      const closed = closeOf(stream);
      stream.resume();
      stream.end(PIECE);
      await closed;
    });
    await assertWhole(pair);
  });

  it("is whole after streams that the agent reset with unread bytes", async () => {
    await using pair = await openSessionPair({
      onStream: onStream((stream) => {
        stream.respond({ ":status": 200 });
        stream.once("readable", () => stream.destroy(new Error("reset")));
      }),
    });
    await many(pair, async () => {
      const stream = pair.connect("reset.runner");
      const closed = closeOf(stream);
      stream.resume();
      stream.write(PIECE);
      await closed;
    });
    await assertWhole(pair);
  });

  it("is whole after streams that the control plane reset with unread bytes", async () => {
    await using pair = await openSessionPair({
      onStream: onStream((stream) => {
        stream.respond({ ":status": 200 });
        stream.write(PIECE);
      }),
    });
    await many(pair, async () => {
      const stream = pair.connect("reset.runner");
      const closed = closeOf(stream);
      stream.once("readable", () => stream.destroy(new Error("reset")));
      await closed;
    });
    await assertWhole(pair);
  });
});
