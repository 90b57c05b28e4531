import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ws from "ws";
import { countWork } from "../../../test/support/count-work.ts";
import { encodeMaskedText } from "../../wire/websocket/websocket-frames.ts";
import { FirstMessageReader } from "./first-message.ts";
import type { FirstMessage, FirstMessageLimits } from "./first-message.ts";

/** ws exports it; its types do not say so. */
const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: object): Buffer[] } };

const LIMITS: FirstMessageLimits = { maxBytes: 1_000, maxFragments: 5, maxControlFrames: 3 };

interface FrameOptions {
  opcode?: number;
  fin?: boolean;
  mask?: boolean;
  rsv1?: boolean;
}

function frame(
  payload: string | Buffer,
  { opcode = 1, fin = true, mask = true, rsv1 = false }: FrameOptions = {},
) {
  return Buffer.concat(Sender.frame(Buffer.from(payload), { opcode, fin, mask, rsv1, readOnly: false }));
}

function byByte(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

/** What comes of the bytes in pieces; the bytes behind the result belong to its rest. */
function read(pieces: readonly Buffer[], limits: FirstMessageLimits = LIMITS): FirstMessage | undefined {
  const reader = new FirstMessageReader(limits);
  for (const [index, piece] of pieces.entries()) {
    const message = reader.feed(piece);
    if (message === undefined) continue;
    const behind = Buffer.concat(pieces.slice(index + 1));
    if (message.kind === "text") return { ...message, rest: Buffer.concat([message.rest, behind]) };
    return message.kind === "close"
      ? { kind: "close", bytes: Buffer.concat([message.bytes, behind]) }
      : message;
  }
  return undefined;
}

function closeCode(bytes: Buffer, limits?: FirstMessageLimits): number | undefined {
  const [whole, pieces] = [read([bytes], limits), read(byByte(bytes), limits)];
  assert.deepEqual(pieces, whole, "in pieces of one byte as in one");
  return whole?.kind === "refused" ? whole.close.code : undefined;
}

describe("FirstMessageReader", () => {
  it("gives a client's first text message and the bytes behind it, however the bytes are cut", () => {
    const cases = fc.tuple(fc.string({ maxLength: 70_000 }), fc.uint8Array({ maxLength: 50 }), fc.nat());
    fc.assert(
      fc.property(cases, ([text, rest, cut]) => {
        const bytes = Buffer.concat([encodeMaskedText(text), rest]);
        const at = cut % (bytes.length + 1);
        const message = read([bytes.subarray(0, at), bytes.subarray(at)], { ...LIMITS, maxBytes: 1_000_000 });
        assert.equal(message?.kind, "text");
        if (message?.kind !== "text") return;
        assert.equal(message.text, Buffer.from(text).toString("utf8"));
        assert.deepEqual(message.rest, Buffer.from(rest));
      }),
      { numRuns: 60 },
    );
  });

  it("joins fragments, and keeps control frames that come between them", () => {
    const [ping, pong] = [frame("p", { opcode: 9 }), frame("", { opcode: 10 })];
    const parts = [frame("he", { fin: false }), ping, frame("", { opcode: 0, fin: false }), pong];
    const bytes = Buffer.concat([...parts, frame("llo", { opcode: 0 }), Buffer.from("next")]);
    for (const pieces of [[bytes], byByte(bytes)]) {
      assert.deepEqual(read(pieces), {
        kind: "text",
        before: Buffer.concat([ping, pong]),
        text: "hello",
        rest: Buffer.from("next"),
      });
    }
  });

  it("gives a close frame before any message, without the fragments before it", () => {
    const [ping, close] = [frame("p", { opcode: 9 }), frame(Buffer.from([3, 232]), { opcode: 8 })];
    const bytes = Buffer.concat([frame("he", { fin: false }), ping, close]);
    for (const pieces of [[bytes], byByte(bytes)]) {
      assert.deepEqual(read(pieces), { kind: "close", bytes: Buffer.concat([ping, close]) });
    }
  });

  it("refuses what no client sends first, with the close code of RFC 6455 §7.4.1", () => {
    for (const opcode of [1, 2, 8, 9]) assert.equal(closeCode(frame("x", { opcode, mask: false })), 1002);
    assert.equal(closeCode(frame("x", { rsv1: true })), 1002, "compression was not agreed on");
    for (const opcode of [0, 3, 7, 11, 15])
      assert.equal(closeCode(frame("x", { opcode })), 1002, `${opcode}`);
    assert.equal(closeCode(Buffer.concat([frame("x", { fin: false }), frame("y")])), 1002, "text in text");
    assert.equal(closeCode(frame("x", { opcode: 2 })), 1003);
    assert.equal(closeCode(frame(Buffer.from([0xff]))), 1007);
    for (const opcode of [8, 9, 10]) {
      assert.equal(closeCode(frame("x", { opcode, fin: false })), 1002);
      assert.equal(closeCode(frame("x".repeat(126), { opcode })), 1002);
    }
  });

  it("holds no more than its bounds: bytes, fragments, control frames", () => {
    assert.equal(closeCode(frame("x".repeat(1_000))), undefined);
    assert.equal(closeCode(frame("x".repeat(1_001))), 1009);
    const halves = [frame("x".repeat(600), { fin: false }), frame("x".repeat(600), { opcode: 0 })];
    assert.equal(closeCode(Buffer.concat(halves)), 1009);
    const huge = Buffer.from([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert.equal(closeCode(huge), 1009, "a length that no number has exactly");
    const empty = frame("", { opcode: 0, fin: false });
    const fragments = (count: number) =>
      Buffer.concat([
        frame("", { fin: false }),
        ...Array<Buffer>(count - 2).fill(empty),
        frame("", { opcode: 0 }),
      ]);
    assert.equal(closeCode(fragments(5)), undefined);
    assert.equal(closeCode(fragments(6)), 1008);
    const pings = (count: number) => Buffer.concat(Array<Buffer>(count).fill(frame("x", { opcode: 9 })));
    assert.equal(closeCode(Buffer.concat([pings(3), frame("x")])), undefined);
    assert.equal(closeCode(pings(4)), 1008);
    assert.equal(
      closeCode(Buffer.concat([pings(3), frame("", { opcode: 8 })])),
      undefined,
      "a close frame may follow",
    );
  });

  it("does a constant amount of work for each byte, however small the pieces are", () => {
    const limits = { maxBytes: 1_000_000, maxFragments: 100_000, maxControlFrames: 100_000 };
    for (const bytes of [10_000, 100_000]) {
      const pings = Array<Buffer>(bytes / 20).fill(frame("x", { opcode: 9 }));
      const text = frame("x".repeat(bytes / 2), { fin: false });
      const pieces = byByte(Buffer.concat([...pings, text, frame("x", { opcode: 0, fin: false })]));
      const reader = new FirstMessageReader(limits);
      const work = countWork(() => {
        for (const piece of pieces) assert.equal(reader.feed(piece), undefined);
      });
      assert.ok(work < 10 * pieces.length, `${work} for ${pieces.length} bytes`);
    }
  });
});
