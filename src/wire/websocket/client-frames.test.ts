/** What a server gets of a WebSocket's client, however the bytes are cut and wherever the client leaves. */
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import fc from "fast-check";
import { cuts, framesOf, pieces, sizes } from "../../../test/support/client-frames.ts";
import { countWork } from "../../../test/support/count-work.ts";
import { turn } from "../../../test/support/events.ts";
import { MAX_HELD_FRAME_BYTES, WEBSOCKET_CLOSE_TIMEOUT_MS, WEBSOCKET_DROPPED_BYTES } from "../limits.ts";
import { encodeMaskedClose, encodeMaskedText } from "./websocket-frames.ts";
import { ClientFrames } from "./client-frames.ts";

/** Takes bytes, or does not: then they wait. */
class Server extends Duplex {
  readonly taken: Buffer[] = [];
  isStuck = false;
  #waiting: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1, emitClose: true });
    this.on("error", () => {}); // a reset
  }

  get bytes(): Buffer {
    return Buffer.concat(this.taken);
  }

  release(): void {
    this.isStuck = false;
    this.#waiting?.();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const take = (): void => {
      this.taken.push(chunk);
      done();
    };
    if (this.isStuck) this.#waiting = take;
    else take();
  }
}

const CLOSE = 0x88;
const EXTENDED = { "sec-websocket-extensions": "permessage-deflate" };

describe("ClientFrames", () => {
  it("passes every byte of whole frames under an extension, and ends with one Close frame, however the bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(sizes, { maxLength: 4 }),
        cuts,
        fc.boolean(),
        async (list, places, closes) => {
          const texts = list.map((size) => encodeMaskedText("x".repeat(size)));
          const bytes = Buffer.concat([...texts, ...(closes ? [encodeMaskedClose(4000, "own")] : [])]);
          const server = new Server();
          const frames = new ClientFrames(server, EXTENDED);
          for (const piece of pieces(bytes, places)) frames.write(piece);
          frames.finish();
          await turn(4);
          assert.ok(server.writableFinished);
          assert.deepEqual(server.bytes.subarray(0, bytes.length), bytes);
          const { firsts, rest } = framesOf(server.bytes);
          assert.deepEqual(firsts, [...texts.map(() => 0x81), CLOSE]);
          assert.equal(rest.length, 0);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("can close behind every beginning of a frame, of whatever size", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, cuts, fc.nat(), async (first, second, places, at) => {
        const whole = encodeMaskedText("x".repeat(first));
        const cut = encodeMaskedText("y".repeat(second));
        const sent = cut.subarray(0, at % cut.length);
        const server = new Server();
        const frames = new ClientFrames(server, {});
        for (const piece of pieces(Buffer.concat([whole, sent]), places)) frames.write(piece);
        frames.leaveNow();
        await turn(4);
        server.destroy();
        const { firsts, rest } = framesOf(server.bytes);
        assert.deepEqual([firsts.at(-1), rest.length], [CLOSE, 0]);
        assert.equal(firsts.filter((byte) => byte >= 0x80).length, 2, "one message, and Close");
      }),
      { numRuns: 30 },
    );
  });

  it("passes a large frame as it comes under an extension, without a Close frame within it", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, cuts, fc.nat(), async (first, second, places, at) => {
        const whole = encodeMaskedText("x".repeat(first));
        const cut = encodeMaskedText("y".repeat(second));
        const sent = cut.subarray(0, at % cut.length);
        const server = new Server();
        const frames = new ClientFrames(server, EXTENDED);
        for (const piece of pieces(Buffer.concat([whole, sent]), places)) frames.write(piece);
        frames.leaveNow();
        await turn(4);
        server.destroy();
        const { firsts, rest } = framesOf(server.bytes);
        const isPassed = second > MAX_HELD_FRAME_BYTES && sent.length >= 14;
        assert.deepEqual(firsts, isPassed ? [0x81] : [0x81, CLOSE]);
        assert.deepEqual(rest, isPassed ? sent : Buffer.alloc(0));
      }),
      { numRuns: 30 },
    );
  });

  it("waits for the server, and keeps the order behind what waits", async () => {
    const server = new Server();
    server.isStuck = true;
    const frames = new ClientFrames(server, {});
    const [one, two] = [encodeMaskedText("one"), encodeMaskedText("two")];
    let isTaken = false;
    frames.write(one);
    frames.write(two, () => (isTaken = true));
    frames.finish();
    await turn(3);
    assert.deepEqual([server.bytes.length, isTaken], [0, false]);
    server.release();
    await turn(3);
    assert.deepEqual(server.bytes.subarray(0, one.length + two.length), Buffer.concat([one, two]));
    assert.deepEqual(framesOf(server.bytes).firsts, [0x81, 0x81, CLOSE]);
  });

  it("sends nothing behind its end, and nothing that waited where it ends at once", async () => {
    const server = new Server();
    server.isStuck = true;
    const frames = new ClientFrames(server, {});
    for (const text of ["with the server", "waiting"]) frames.write(encodeMaskedText(text));
    frames.leaveNow();
    frames.write(encodeMaskedText("late"));
    server.release();
    await turn(3);
    assert.deepEqual(framesOf(server.bytes).firsts, [0x81, CLOSE]);
    assert.ok(server.writableFinished);
    server.destroy();
  });

  it("resets a server that goes on sending when its client has left", async () => {
    const server = new Server();
    const frames = new ClientFrames(server, {});
    frames.leaveNow();
    const piece = Buffer.alloc(64 * 1024);
    let sent = 0;
    while (!server.destroyed && sent < 2 * WEBSOCKET_DROPPED_BYTES) {
      server.push(piece);
      sent += piece.length;
      await turn();
    }
    assert.equal(server.destroyed, true);
    assert.ok(
      sent > WEBSOCKET_DROPPED_BYTES && sent <= WEBSOCKET_DROPPED_BYTES + 4 * piece.length,
      `${sent} bytes`,
    );
  });

  it("adds nothing where the server has declined the rest", async () => {
    const server = new Server();
    const frames = new ClientFrames(server, {});
    server.emit("aborted");
    frames.write(encodeMaskedText("x"));
    frames.finish();
    await turn(3);
    assert.equal(server.bytes.length, 0);
  });

  it("does a constant amount of work for each byte, in pieces of one byte", () => {
    const bytes = Buffer.concat([encodeMaskedText("x".repeat(20_000)), encodeMaskedText("y".repeat(20_000))]);
    const server = new Server();
    const frames = new ClientFrames(server, {});
    const work = countWork(() => {
      for (let at = 0; at < bytes.length; at += 1) {
        frames._write(bytes.subarray(at, at + 1), "utf8", () => {});
      }
    });
    assert.deepEqual(server.bytes, bytes);
    assert.ok(work < 10 * bytes.length, `${work} for ${bytes.length} bytes`);
  });

  describe("when the client is lost", () => {
    beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
    afterEach(() => mock.timers.reset());

    it("gives the server some time to close, drops what it sends meanwhile, and then resets it", async () => {
      const server = new Server();
      new ClientFrames(server, {}).leave();
      server.push("unread");
      await turn(3);
      assert.deepEqual([server.readableLength, server.destroyed], [0, false]);
      mock.timers.tick(WEBSOCKET_CLOSE_TIMEOUT_MS - 1);
      assert.equal(server.destroyed, false);
      mock.timers.tick(1);
      assert.notEqual(server.errored, null);
    });

    it("resets a server that does not even take the Close frame", () => {
      const server = new Server();
      server.isStuck = true;
      const frames = new ClientFrames(server, {});
      frames.write(encodeMaskedText("stuck"));
      frames.write(encodeMaskedText("waiting"));
      frames.leave();
      mock.timers.tick(WEBSOCKET_CLOSE_TIMEOUT_MS);
      assert.equal(server.destroyed, true);
    });
  });
});
