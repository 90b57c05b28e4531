/**
 * RFC 6455 framing, as much as a relay needs: where frames end (so that a close frame of ours can stand between two of
 * the target's), and frames of our own. Payloads pass untouched.
 */
import { createHash, randomBytes } from "node:crypto";
import { FrameHeaderReader, OPCODE } from "./frame-header.ts";

/** Follows a byte stream of frames without holding more than one header of it. */
export class FrameTracker {
  readonly #header = new FrameHeaderReader();
  #payloadLeft = 0;
  #isClose = false;
  #closed = false;

  /** The next byte would begin a new frame. */
  get atBoundary(): boolean {
    return this.#payloadLeft === 0 && this.#header.isEmpty;
  }

  /** A whole close frame has passed: nothing may follow it. */
  get closed(): boolean {
    return this.#closed;
  }

  feed(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) at = this.#step(chunk, at);
  }

  /** Feeds no more than the rest of the present frame. @returns how many bytes that were */
  feedToBoundary(chunk: Buffer): number {
    return this.#step(chunk, 0);
  }

  /** Takes the rest of one frame, as far as it is in the chunk. @returns the index behind it */
  #step(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#payloadLeft === 0) {
      at = this.#header.feed(chunk, at);
      if (!this.#header.isComplete) return at;
      this.#isClose = this.#header.opcode === OPCODE.close;
      this.#payloadLeft = this.#header.payloadBytes;
      this.#header.reset();
    }
    const taken = Math.min(this.#payloadLeft, chunk.length - at);
    this.#payloadLeft -= taken;
    if (this.#payloadLeft === 0 && this.#isClose) this.#closed = true;
    return at + taken;
  }
}

/** RFC 6455 §5.5: a control frame has at most 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

/** An unmasked close frame, as a server sends it. The reason is cut to the characters that fit. */
export function encodeClose(code: number, reason: string): Buffer {
  const bytes = new Uint8Array(MAX_REASON_BYTES);
  const text = Buffer.from(bytes.subarray(0, new TextEncoder().encodeInto(reason, bytes).written));
  const frame = Buffer.alloc(4 + text.length);
  frame[0] = 0x80 | OPCODE.close;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}

/** The same, masked, as a client sends it. */
export function encodeMaskedClose(code: number, reason: string): Buffer {
  return encodeMasked(OPCODE.close, encodeClose(code, reason).subarray(2));
}

/** A masked, unfragmented text frame, as a client sends it. */
export function encodeMaskedText(text: string): Buffer {
  return encodeMasked(OPCODE.text, Buffer.from(text));
}

function encodeMasked(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  return Buffer.concat([encodeFrameHeader(0x80 | opcode, payload.length, mask), unmasked(payload, mask, 0)]);
}

/** @param first flags and opcode. @param mask four bytes, or none */
export function encodeFrameHeader(first: number, payloadBytes: number, mask: Buffer): Buffer {
  const isMasked = mask.length > 0 ? 0x80 : 0;
  const length =
    payloadBytes < 126
      ? Buffer.from([isMasked | payloadBytes])
      : payloadBytes < 65_536
        ? Buffer.from([isMasked | 126, payloadBytes >> 8, payloadBytes & 0xff])
        : Buffer.concat([Buffer.from([isMasked | 127]), uint64(payloadBytes)]);
  return Buffer.concat([Buffer.from([first]), length, mask]);
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** Masks or unmasks part of a payload (RFC 6455 §5.3). @param position of the part in the payload */
export function unmasked(part: Buffer, mask: Buffer, position: number): Buffer {
  const bytes = Buffer.from(part);
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[i] = (bytes[i] ?? 0) ^ (mask[(position + i) & 3] ?? 0);
  }
  return bytes;
}

/** `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2). */
export function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
