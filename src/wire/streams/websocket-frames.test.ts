import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Writable } from "node:stream";
import * as ws from "ws";
import { encodeClose, encodeMaskedText, FirstMessageReader, FrameTracker } from "./websocket-frames.ts";

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
});

describe("FirstMessageReader", () => {
  it("gives a client's first text message and the bytes behind it", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 70_000 }), fc.uint8Array({ maxLength: 50 }), (text, rest) => {
        const reader = new FirstMessageReader(1_000_000);
        const message = reader.feed(Buffer.concat([encodeMaskedText(text), rest]));
        assert.equal(message?.kind, "text");
        if (message?.kind !== "text") return;
        assert.equal(message.text, Buffer.from(text).toString("utf8"));
        assert.deepEqual(message.rest, Buffer.from(rest));
      }),
      { numRuns: 60 },
    );
  });

  it("joins fragments, and keeps control frames that come between them", () => {
    const part = (text: string, opcode: number, fin: boolean) =>
      Buffer.concat(
        Sender.frame(Buffer.from(text), { fin, opcode, mask: true, readOnly: false, rsv1: false }),
      );
    const ping = part("p", 9, true);
    const reader = new FirstMessageReader(1_000);
    const message = reader.feed(Buffer.concat([part("he", 1, false), ping, part("llo", 0, true)]));
    assert.equal(message?.kind === "text" && message.text, "hello");
    assert.deepEqual(message?.kind === "text" && message.before, ping);
  });

  it("looks into nothing but text, and does not wait behind a close frame", () => {
    const frame = (opcode: number, mask: boolean) =>
      Buffer.concat(
        Sender.frame(Buffer.from([3, 232]), { fin: true, opcode, mask, readOnly: false, rsv1: false }),
      );
    for (const opcode of [2, 8, 0]) {
      const bytes = frame(opcode, true);
      assert.deepEqual(new FirstMessageReader(100).feed(bytes), { kind: "other", bytes });
    }
    for (const opcode of [1, 2, 8, 9]) {
      assert.deepEqual(new FirstMessageReader(100).feed(frame(opcode, false)), { kind: "unmasked" });
    }
  });

  it("does not collect more than its bound", () => {
    const reader = new FirstMessageReader(100);
    assert.deepEqual(reader.feed(encodeMaskedText("x".repeat(200))), { kind: "too-large" });
  });
});
