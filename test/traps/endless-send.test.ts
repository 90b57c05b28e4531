/**
 * Trap: a stream that is destroyed while it is `closed`, and before its RST_STREAM has been handed to nghttp2, makes
 * node:http2 send empty DATA frames into memory endlessly: half a gigabyte a second, and no event is handled any more.
 * Guard: src/wire/streams/end-stream.ts replaces `close()` and `destroy()` of every stream; `guardHttp2Session()` where each session
 * is made (test/http2-endings.test.ts). Without it the child of this test dies of its memory limit within 30 scenarios:
 * `node test/traps/endless-send.child.ts 100 bare`.
 */
import assert from "node:assert/strict";
import http2 from "node:http2";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { after, describe, it } from "node:test";
import { closeAfterResponse, resetStream } from "../../src/wire/streams/end-stream.ts";
import { runChild } from "../support/child.ts";
import { ending, next, turn, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { limitSelf } from "../support/self-limit.ts";
import { openSessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());
limitSelf({ memoryMb: 600, stuckMs: 60_000 }); // without the guard this process would not end otherwise

const CHILD = new URL("./endless-send.child.ts", import.meta.url);
/** More of them: `PROPERTY_RUNS=20000 node --test test/traps/endless-send.test.ts`. */
const RUNS = process.env["PROPERTY_RUNS"] ?? "120";
const CANCEL = http2.constants.NGHTTP2_CANCEL;

type Stream = ClientHttp2Stream | ServerHttp2Stream;

/** Each hangs a process that has no guard; in either role. */
const FORMS: Record<string, (stream: Stream) => void> = {
  "destroyed in 'aborted'": (stream) => {
    stream.on("aborted", () => stream.destroy());
    stream.write("x");
    stream.close(CANCEL);
  },
  "destroyed behind end() and close(NO_ERROR)": (stream) => {
    stream.end("x");
    stream.close(0);
    stream.destroy();
  },
  "destroyed with its session behind end() and close(NO_ERROR)": (stream) => {
    stream.end("x");
    stream.close(0);
    stream.session?.destroy();
  },
  "destroyed in 'aborted' of a stream that a time limit closes": (stream) => {
    stream.on("aborted", () => stream.destroy());
    stream.setTimeout(1, () => {
      stream.write("x");
      stream.close(CANCEL);
    });
  },
};

async function child(...args: string[]): Promise<void> {
  const { code, signal, stdout, stderr } = await runChild(CHILD, args);
  assert.deepEqual([code, signal], [0, null], `${stdout.slice(-4_000)}\n${stderr.slice(-4_000)}`);
  assert.match(stdout, /\ndone\n$/);
}

describe("a process with HTTP/2 streams that end in any order", () => {
  it("continues, and nothing incomplete looks complete", () => child(RUNS));

  for (const [what, end] of Object.entries(FORMS)) {
    for (const role of ["client", "server"] as const) {
      it(`resets a ${role}'s stream that is ${what}`, async () => {
        await using pair = await openSessionPair({ carrier: "tcp" });
        const accepted = pair.nextStream();
        const client = pair.connect();
        const [server] = await Promise.all([accepted, next(client, "response")]);
        const [own, peer] = role === "client" ? [client, server] : [server, client];
        const seen = ending(peer);
        const closed = new Promise<void>((resolve) => void own.once("close", resolve));
        end(own);
        await within(closed, "the stream's end");
        await seen;
        await turn(2);
        assert.notEqual(peer.rstCode, 0);
      });
    }
  }

  it("is not started by a peer that opens its window later", async () => {
    await using pair = await openSessionPair({ carrier: "tcp" });
    const accepted = pair.nextStream();
    const client = pair.connect();
    const [server] = await Promise.all([accepted, next(client, "response")]);
    server.pause();
    client.end(Buffer.alloc(4 * 1024 * 1024));
    client.close(0);
    await turn(20);
    client.destroy();
    const seen = ending(server);
    assert.equal((await seen).kind, "error");
  });
});

describe("a response whose request is not wanted any more", () => {
  it("arrives whole before its stream is closed, in the turn of respond() and on a full window", async () => {
    const body = Buffer.alloc(3 * 1024 * 1024, 7);
    for (const bytes of [Buffer.alloc(0), body]) {
      await using pair = await openSessionPair({
        carrier: "tcp",
        onStream: (stream) => {
          stream.respond({ ":status": 503 });
          stream.end(bytes);
          closeAfterResponse(stream);
        },
      });
      const client = pair.connect();
      const closed = next(client, "close");
      const responded = next<[{ ":status"?: number }]>(client, "response");
      const end = ending(client);
      client.pause();
      const [headers] = await responded;
      assert.equal(headers[":status"], 503);
      await turn(20);
      client.resume();
      const { kind, data } = await end;
      assert.deepEqual([kind, data.length], ["end", bytes.length]);
      await closed; // though our own half is open
      assert.equal(client.rstCode, 0);
    }
  });

  it("can still be reset while its window holds it", async () => {
    let server: ServerHttp2Stream | undefined;
    await using pair = await openSessionPair({
      carrier: "tcp",
      onStream: (stream) => {
        server = stream;
        stream.respond({ ":status": 200 });
        stream.end(Buffer.alloc(4 * 1024 * 1024));
        closeAfterResponse(stream);
      },
    });
    const client = pair.connect();
    await next(client, "response");
    client.pause();
    await turn(20);
    assert.ok(server !== undefined && !server.closed);
    resetStream(server, new Error("on purpose"));
    assert.equal((await ending(client)).kind, "error");
  });
});
