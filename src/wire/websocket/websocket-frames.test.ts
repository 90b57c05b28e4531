import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Writable } from "node:stream";
import * as ws from "ws";
import { countWork } from "../../../test/support/count-work.ts";
import { encodeClose, encodeMaskedText, FrameTracker } from "./websocket-frames.ts";

/** ws exports these two; its types do not say so. */
const { Receiver, Sender } = ws as unknown as {
  Receiver: new (options: { isServer: boolean }) => Writable;
  Sender: { frame(data: Buffer, options: object): Buffer[] };
};

/** Cuts bytes at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...places].map((start, i) => bytes.subarray(start, places[i] ?? bytes.length));
}

function frames(messages: readonly Buffer[], mask: boolean): Buffer {
  return Buffer.concat(
    messages.flatMap((data) =>
      Sender.frame(data, { fin: true, opcode: 2, mask, readOnly: true, rsv1: false }),
    ),
  );
}

const messages = fc.array(
  fc.uint8Array({ maxLength: 70_000, size: "max" }).map((bytes) => Buffer.from(bytes)),
  {
    maxLength: 5,
  },
);

describe("FrameTracker", () => {
  it("is at a boundary exactly where a frame has ended, however the bytes are cut", () => {
    fc.assert(
      fc.property(messages, fc.boolean(), fc.array(fc.nat(), { maxLength: 20 }), (list, mask, cuts) => {
        const bytes = frames(list, mask);
        const ends = new Set([0]);
        let at = 0;
        for (const data of list) ends.add((at += frames([data], mask).length));
        const tracker = new FrameTracker();
        let fed = 0;
        for (const piece of pieces(bytes, cuts)) {
          tracker.feed(piece);
          fed += piece.length;
          assert.equal(tracker.atBoundary, ends.has(fed));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("feeds no further than the end of the frame that is under way", () => {
    fc.assert(
      fc.property(messages, fc.boolean(), fc.nat(), fc.nat(), (list, mask, cut, second) => {
        const bytes = frames(list, mask);
        let at = 0;
        const ends = list.map((data) => (at += frames([data], mask).length));
        const [before = bytes, after = Buffer.alloc(0)] = pieces(bytes, [cut]);
        const tracker = new FrameTracker();
        tracker.feed(before);
        if (tracker.atBoundary) return;
        let fed = before.length;
        for (const piece of pieces(after, [second])) {
          if (!tracker.atBoundary) fed += tracker.feedToBoundary(piece);
        }
        assert.equal(
          fed,
          ends.find((end) => end > before.length),
        );
        assert.equal(tracker.atBoundary, true);
      }),
      { numRuns: 60 },
    );
  });

  it("notices a close frame", () => {
    const tracker = new FrameTracker();
    tracker.feed(encodeClose(1000, "bye"));
    assert.equal(tracker.closed, true);
  });

  it("does a constant amount of work for each byte, in pieces of one byte and in one of many frames", () => {
    const bytes = frames(Array<Buffer>(5_000).fill(Buffer.from("x")), true);
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    for (const list of [[bytes], single]) {
      const tracker = new FrameTracker();
      const work = countWork(() => {
        for (const piece of list) tracker.feed(piece);
      });
      assert.equal(tracker.atBoundary, true);
      assert.ok(work < 2 * bytes.length, `${work} for ${bytes.length} bytes`);
    }
  });
});

describe("encodeMaskedText", () => {
  it("is understood by a WebSocket server, whatever the length", async () => {
    for (const length of [0, 125, 126, 65_535, 65_536]) {
      const receiver = new Receiver({ isServer: true });
      const message = new Promise<Buffer>((resolve) => receiver.on("message", resolve));
      receiver.write(encodeMaskedText("ü".repeat(length)));
      assert.equal((await message).toString(), "ü".repeat(length));
    }
  });
});

describe("encodeClose", () => {
  it("is understood by a WebSocket client", async () => {
    const receiver = new Receiver({ isServer: false });
    const concluded = new Promise<[number, Buffer]>((resolve) => {
      receiver.on("conclude", (code: number, reason: Buffer) => resolve([code, reason]));
    });
    receiver.write(encodeClose(1012, "service restart"));
    const [code, reason] = await concluded;
    assert.equal(code, 1012);
    assert.equal(reason.toString(), "service restart");
  });

  it("cuts a long reason between two characters", () => {
    const frame = encodeClose(1001, "é".repeat(100));
    assert.deepEqual([frame[1], frame.subarray(4).toString()], [124, "é".repeat(61)]);
  });
});
