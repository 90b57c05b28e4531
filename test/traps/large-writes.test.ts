/**
 * Trap: one `write()` above the HTTP/2 session's memory makes all other streams fail with ENHANCE_YOUR_CALM, and if its reader
 * has stopped the session refuses every new stream for good.
 * Guards: `TunnelSocket` cuts what it is given (src/wire/streams/tunnel-socket.ts); `maxSessionMemory` in src/wire/session/reversed-session.ts.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { HTTP2_SESSION_MEMORY_MB } from "../../src/wire/limits.ts";
import { ending, next, turn } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";
import type { SessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

const MB = 1024 * 1024;

/** `big.*` is never read; everything else is echoed. */
async function pairWithStalledReader(): Promise<SessionPair> {
  return openSessionPair({
    onStream: (stream, headers) => {
      stream.respond({ ":status": 200 });
      if (headers[":authority"]?.startsWith("big.") === true) stream.pause();
      else stream.pipe(stream);
    },
  });
}

async function assertOthersWork(pair: SessionPair): Promise<void> {
  const echoes = [1, 2, 3].map((n) => {
    const socket = pair.tunnel();
    const end = ending(socket);
    socket.end(`small ${n}`);
    return end;
  });
  const ends = await Promise.all(echoes);
  assert.deepEqual(
    ends.map(({ kind, data }) => `${kind} ${data.toString()}`),
    ["end small 1", "end small 2", "end small 3"],
  );
}

describe("a single write larger than the HTTP/2 session's memory", () => {
  it("does not hurt the other streams, during it and after it", async () => {
    await using pair = await pairWithStalledReader();
    const big = pair.tunnel("big.runner");
    big.write(Buffer.alloc((HTTP2_SESSION_MEMORY_MB + 44) * MB));
    await turn(5);
    await assertOthersWork(pair);
    big.destroy();
    await assertOthersWork(pair);
  });
});

describe("a single write of 12 MiB, which default settings refuse", () => {
  it("does not hurt the other streams when the control plane makes it", async () => {
    await using pair = await pairWithStalledReader();
    const big = pair.connect("big.runner");
    await next(big, "response");
    big.write(Buffer.alloc(12 * MB));
    await turn(5);
    await assertOthersWork(pair);
    big.destroy(new Error("test"));
    await assertOthersWork(pair);
  });

  it("does not hurt the other streams when the agent makes it", async () => {
    await using pair = await pairWithStalledReader();
    const opened = pair.nextStream();
    const big = pair.connect("big.runner");
    const agent = await opened;
    await next(big, "response");
    agent.write(Buffer.alloc(12 * MB));
    await turn(5);
    await assertOthersWork(pair);
    big.destroy(new Error("test"));
    await assertOthersWork(pair);
  });
});
