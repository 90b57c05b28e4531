/**
 * Traps: an agent that ends its half before anybody reads its stream resets it with NO_ERROR, and the consumer can no
 * longer write; after a refusal with `endStream` the consumer's half stays open.
 * Guards: `splice()` in src/wire/streams/splice.ts attaches both readers before anything can end; `refuse()` in
 * src/agent/streams/reach-target.ts closes the stream; `TunnelSocket` destroys itself on a refusal.
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { relayTo } from "../support/agent-streams.ts";
import { ending, eventually, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";
import { refusingAddress, startTarget } from "../support/target.ts";

after(() => assertNothingOpen());

describe("a target that sends its data and FIN at once", () => {
  it("still gets what the consumer writes afterwards", async () => {
    for (let n = 0; n < 20; n += 1) {
      await using target = await startTarget((socket) => void socket.end("banner"));
      await using pair = await openSessionPair({ onStream: relayTo(target.address) });
      const socket = pair.tunnel();
      const end = ending(socket);
      const got = ending(await target.accepted());
      assert.deepEqual([(await end).kind, (await end).data.toString()], ["end", "banner"]);
      socket.end("more");
      assert.deepEqual([(await got).kind, (await got).data.toString()], ["end", "more"]);
    }
  });
});

describe("a refused dial", () => {
  for (const on of ["tcp", "unix"] as const) {
    it(`on ${on} gives the reason, closes the stream at both ends and reaches no target`, async () => {
      await using pair = await openSessionPair({ onStream: relayTo(await refusingAddress(on)) });
      const opened = pair.nextStream();
      const socket = pair.tunnel();
      socket.write("sent behind the request, without waiting for the response");
      const end = ending(socket);
      const agentStream = await opened;
      assert.deepEqual([(await end).kind, (await end).code], ["error", "target_refused"]);
      await eventually(() => agentStream.destroyed && socket.destroyed, "the end of the stream");
    });
  }

  it("leaves the tunnel connection as it was", async () => {
    const refusing = await refusingAddress();
    await using target = await startTarget((socket) => void socket.end("hello"));
    await using pair = await openSessionPair({
      onStream: (stream, headers) => {
        relayTo(headers[":authority"] === "bad.runner" ? refusing : target.address)(stream, headers);
      },
    });
    for (let n = 0; n < 50; n += 1) await next(pair.tunnel("bad.runner"), "close").catch(() => {});
    const socket = pair.tunnel();
    assert.equal((await ending(socket)).data.toString(), "hello");
    socket.end();
  });
});
