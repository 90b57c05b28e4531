/** Frames of a WebSocket's client for tests of those who pass them on: made, cut into pieces, and read again. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_HELD_FRAME_BYTES } from "../../src/wire/limits.ts";
import { encodeFrameHeader, unmasked } from "../../src/wire/websocket/websocket-frames.ts";

export interface Frame {
  /** Flags and opcode. */
  first: number;
  payload: Buffer;
}

/** The frames, and what follows the last whole one. */
export function framesOf(bytes: Buffer): { firsts: number[]; frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  for (;;) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    const begin = at + 6 + extended;
    if (begin > bytes.length) break;
    const length =
      short === 126
        ? bytes.readUInt16BE(at + 2)
        : short === 127
          ? Number(bytes.readBigUInt64BE(at + 2))
          : short;
    if (begin + length > bytes.length) break;
    const payload = unmasked(bytes.subarray(begin, begin + length), bytes.subarray(begin - 4, begin), 0);
    frames.push({ first: bytes[at] ?? 0, payload });
    at = begin + length;
  }
  return { firsts: frames.map(({ first }) => first), frames, rest: bytes.subarray(at) };
}

/** Those that fragments make. */
export function messagesOf(frames: readonly Frame[]): Frame[] {
  const messages: Frame[] = [];
  let parts: Frame[] = [];
  for (const frame of frames) {
    assert.ok(frame.payload.length <= MAX_HELD_FRAME_BYTES, `${frame.payload.length} bytes in one`);
    assert.equal((frame.first & 0x0f) === 0, parts.length > 0, "fragments follow the first");
    parts.push(frame);
    if (frame.first < 0x80) continue;
    const first = 0x80 | (parts[0]?.first ?? 0);
    messages.push({ first, payload: Buffer.concat(parts.map(({ payload }) => payload)) });
    parts = [];
  }
  return messages;
}

/** As {@link encodeMaskedText}, binary, with every byte another one than its neighbours. */
export function encodeBytes(payload: Buffer, first = 0x82): Buffer {
  const mask = Buffer.from([1, 2, 3, 250]);
  return Buffer.concat([encodeFrameHeader(first, payload.length, mask), unmasked(payload, mask, 0)]);
}

export function counting(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => at % 251));
}

export const LARGE: number = MAX_HELD_FRAME_BYTES + 1;
export const sizes: fc.Arbitrary<number> = fc.oneof(
  fc.nat(200),
  fc.constantFrom(125, 126, 65_535, MAX_HELD_FRAME_BYTES, LARGE, 3 * LARGE),
);
export const cuts: fc.Arbitrary<number[]> = fc.array(fc.oneof(fc.nat(400), fc.nat(10 * LARGE)), {
  maxLength: 12,
});

export function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}
