/**
 * RFC 6455 framing, as much as a relay needs: where frames end (so that a close frame of ours can stand between two of
 * the target's), and the first message of a client. Payloads pass untouched.
 */
import { randomBytes } from "node:crypto";

const OPCODE_CONTINUATION = 0x0;
const OPCODE_TEXT = 0x1;
const OPCODE_CLOSE = 0x8;

interface Header {
  fin: boolean;
  opcode: number;
  mask: Buffer | undefined;
  headerBytes: number;
  payloadBytes: number;
}

/** Undefined while the header is incomplete. */
function parseHeader(bytes: Buffer): Header | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const masked = (second & 0x80) !== 0;
  const headerBytes = 2 + extended + (masked ? 4 : 0);
  if (bytes.length < headerBytes) return undefined;
  const payloadBytes =
    extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const mask = masked ? bytes.subarray(headerBytes - 4, headerBytes) : undefined;
  return { fin: (first & 0x80) !== 0, opcode: first & 0x0f, mask, headerBytes, payloadBytes };
}

/** Follows a byte stream of frames without holding more than one header of it. */
export class FrameTracker {
  #header: Buffer = Buffer.alloc(0);
  #payloadLeft = 0;
  #closed = false;

  /** The next byte would begin a new frame. */
  get atBoundary(): boolean {
    return this.#payloadLeft === 0 && this.#header.length === 0;
  }

  /** A close frame has passed: nothing may follow it. */
  get closed(): boolean {
    return this.#closed;
  }

  feed(chunk: Buffer): void {
    this.#feed(chunk, false);
  }

  /** Feeds no more than the rest of the present frame. @returns how many bytes that were */
  feedToBoundary(chunk: Buffer): number {
    return chunk.length - this.#feed(chunk, true).length;
  }

  /** @returns what is left */
  #feed(chunk: Buffer, stopsAtBoundary: boolean): Buffer {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, rest.length);
        this.#payloadLeft -= taken;
        rest = rest.subarray(taken);
        if (stopsAtBoundary && this.#payloadLeft === 0) return rest;
        continue;
      }
      const before = this.#header.length;
      const bytes = before === 0 ? rest : Buffer.concat([this.#header, rest.subarray(0, 14)]);
      const header = parseHeader(bytes);
      if (header === undefined) {
        this.#header = Buffer.from(bytes);
        return Buffer.alloc(0);
      }
      if (header.opcode === OPCODE_CLOSE) this.#closed = true;
      this.#header = Buffer.alloc(0);
      this.#payloadLeft = header.payloadBytes;
      rest = rest.subarray(header.headerBytes - before);
      if (stopsAtBoundary && this.#payloadLeft === 0) return rest;
    }
    return rest;
  }
}

/** An unmasked close frame, as a server sends it. The reason is cut to what fits (123 bytes). */
export function encodeClose(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, 123);
  const frame = Buffer.alloc(4 + text.length);
  frame[0] = 0x80 | OPCODE_CLOSE;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}

/** A masked, unfragmented text frame, as a client sends it. */
export function encodeMaskedText(text: string): Buffer {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : payload.length < 65_536
        ? Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff])
        : Buffer.concat([Buffer.from([0x80 | 127]), uint64(payload.length)]);
  unmask(payload, mask);
  return Buffer.concat([Buffer.from([0x80 | OPCODE_TEXT]), length, mask, payload]);
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function unmask(payload: Buffer, mask: Buffer): void {
  for (let i = 0; i < payload.length; i += 1) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
}

export type FirstMessage =
  /** Bytes that came before the message (control frames) and behind it pass as they are. */
  | { kind: "text"; before: Buffer; text: string; rest: Buffer }
  /** Not a text message, or the end before any: nothing to look into. */
  | { kind: "other"; bytes: Buffer }
  /** A frame without a mask: no client sends that (RFC 6455 §5.1). */
  | { kind: "unmasked" }
  | { kind: "too-large" };

/** Collects a client's bytes until its first message is complete. */
export class FirstMessageReader {
  readonly #maxBytes: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Undefined while more has to come. */
  feed(chunk: Buffer): FirstMessage | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > this.#maxBytes) return { kind: "too-large" };
    let offset = 0;
    let before: Buffer = Buffer.alloc(0);
    const parts: Buffer[] = [];
    for (;;) {
      const rest = this.#bytes.subarray(offset);
      const header = parseHeader(rest);
      if (header === undefined) return undefined;
      if (header.payloadBytes > this.#maxBytes) return { kind: "too-large" };
      const end = header.headerBytes + header.payloadBytes;
      if (rest.length < end) return undefined;
      offset += end;
      if (header.mask === undefined) return { kind: "unmasked" };
      if (header.opcode === OPCODE_CLOSE) return { kind: "other", bytes: this.#bytes };
      if (header.opcode > OPCODE_CLOSE) {
        before = Buffer.concat([before, rest.subarray(0, end)]);
        continue;
      }
      const expected = parts.length === 0 ? OPCODE_TEXT : OPCODE_CONTINUATION;
      if (header.opcode !== expected) return { kind: "other", bytes: this.#bytes };
      const payload = Buffer.from(rest.subarray(header.headerBytes, end));
      unmask(payload, header.mask);
      parts.push(payload);
      if (!header.fin) continue;
      const text = Buffer.concat(parts).toString("utf8");
      return { kind: "text", before, text, rest: this.#bytes.subarray(offset) };
    }
  }
}
