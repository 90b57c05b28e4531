/** Fragments of what a client has sent make the same message, and there is always a place for a Close frame near. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  counting,
  cuts,
  encodeBytes,
  framesOf,
  LARGE,
  messagesOf,
  pieces,
  sizes,
} from "../../../test/support/client-frames.ts";
import { countWork } from "../../../test/support/count-work.ts";
import { MAX_HELD_FRAME_BYTES } from "../limits.ts";
import { WholeFrames } from "./whole-frames.ts";

function passed(list: readonly Buffer[], mayCut = true): Buffer {
  const frames = new WholeFrames(mayCut);
  return Buffer.concat(list.map((piece) => frames.feed(piece)));
}

describe("WholeFrames", () => {
  it("passes small frames as they are, and large ones in fragments that make the same message", () => {
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 4 }), cuts, (list, places) => {
        const payloads = list.map(counting);
        const bytes = Buffer.concat(payloads.map((payload) => encodeBytes(payload)));
        const { frames, rest } = framesOf(passed(pieces(bytes, places)));
        assert.equal(rest.length, 0);
        const messages = messagesOf(frames);
        assert.deepEqual(
          messages.map(({ first }) => first),
          payloads.map(() => 0x82),
        );
        for (const [at, payload] of payloads.entries()) {
          assert.ok(messages[at]?.payload.equals(payload), `message ${at}`);
        }
        const fragments = payloads.map(({ length }) => Math.max(1, Math.ceil(length / MAX_HELD_FRAME_BYTES)));
        assert.equal(
          frames.length,
          fragments.reduce((sum, count) => sum + count, 0),
        );
      }),
      { numRuns: 40 },
    );
  });

  it("changes no byte where it may not cut, or need not", () => {
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 4 }), cuts, (list, places) => {
        const bytes = Buffer.concat(list.map((size) => encodeBytes(counting(size))));
        assert.ok(passed(pieces(bytes, places), false).equals(bytes));
        const small = list.filter((size) => size <= MAX_HELD_FRAME_BYTES);
        const others = Buffer.concat(small.map((size) => encodeBytes(counting(size), 0xc1)));
        assert.ok(passed(pieces(others, places)).equals(others));
      }),
      { numRuns: 40 },
    );
  });

  it("keeps the fragments that the client has made apart, and pings between them", () => {
    const [begin, middle, end] = [0x02, 0x00, 0x80].map((first) => encodeBytes(counting(2 * LARGE), first));
    const ping = encodeBytes(Buffer.from("p"), 0x89);
    const bytes = Buffer.concat([begin, ping, middle, end].filter((piece) => piece !== undefined));
    assert.deepEqual(framesOf(passed([bytes])).firsts, [0x02, 0, 0, 0x89, 0, 0, 0, 0, 0, 0x80]);
  });

  it("ends between two frames also where the length is one that no number has, or a frame that no client may send", () => {
    const huge = Buffer.from([0, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    for (const first of [0x81, 0xc1, 0x89, 0x88, 0x83]) {
      huge[0] = first;
      for (const more of [0, 1, MAX_HELD_FRAME_BYTES, 3 * MAX_HELD_FRAME_BYTES + 5]) {
        const frames = new WholeFrames(true);
        const sent = framesOf(frames.feed(Buffer.concat([huge, Buffer.alloc(more)])));
        assert.deepEqual([sent.rest.length, frames.isBetween, frames.closed], [0, true, false]);
        const count = Math.floor(more / MAX_HELD_FRAME_BYTES);
        assert.deepEqual(
          sent.firsts,
          Array.from({ length: count }, (_, at) => (at === 0 ? first & 0x7f : 0)),
        );
      }
    }
  });

  it("does a constant amount of work for each byte, and holds no more than a fragment", () => {
    const bytes = encodeBytes(Buffer.alloc(3 * MAX_HELD_FRAME_BYTES));
    const list = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, at) =>
      bytes.subarray(7 * at, 7 * at + 7),
    );
    const frames = new WholeFrames(true);
    let [received, sent] = [0, 0];
    const work = countWork(() => {
      for (const piece of list) {
        received += piece.length;
        sent += frames.feed(piece).length;
        assert.ok(received - sent <= MAX_HELD_FRAME_BYTES + 14);
      }
    });
    assert.ok(work < 10 * bytes.length, `${work} for ${bytes.length} bytes`);
  });
});
