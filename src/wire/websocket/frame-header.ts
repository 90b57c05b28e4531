/** Reads the header of a WebSocket frame (RFC 6455 §5.2) out of pieces of any size. Each byte is looked at once. */

/** Flags and opcode, length, eight bytes of extended length, mask. */
const MAX_HEADER_BYTES = 14;
/** The first two bytes tell how many follow. */
const FIXED_BYTES = 2;

export const OPCODE = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

export class FrameHeaderReader {
  readonly #bytes = Buffer.alloc(MAX_HEADER_BYTES);
  #received = 0;
  #length = FIXED_BYTES;

  /** No byte of a header has come. */
  get isEmpty(): boolean {
    return this.#received === 0;
  }

  get isComplete(): boolean {
    return this.#received === this.#length;
  }

  /** @returns the index after the header's bytes in this piece */
  feed(piece: Buffer, from: number): number {
    let at = from;
    while (this.#received < this.#length && at < piece.length) {
      this.#bytes[this.#received] = piece[at] ?? 0;
      this.#received += 1;
      at += 1;
      if (this.#received === FIXED_BYTES) this.#length = headerBytes(this.#bytes[1] ?? 0);
    }
    return at;
  }

  /** The next byte begins another header. */
  reset(): void {
    this.#received = 0;
    this.#length = FIXED_BYTES;
  }

  get isFinal(): boolean {
    return (this.#first & 0x80) !== 0;
  }

  /** The three bits that only an extension may set. */
  get reserved(): number {
    return this.#first & 0x70;
  }

  get opcode(): number {
    return this.#first & 0x0f;
  }

  get isMasked(): boolean {
    return (this.#second & 0x80) !== 0;
  }

  /** A copy; empty for a frame without one. */
  get mask(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.isMasked ? this.#length - 4 : this.#length, this.#length));
  }

  get payloadBytes(): number {
    const short = this.#second & 0x7f;
    if (short === 126) return this.#bytes.readUInt16BE(FIXED_BYTES);
    return short === 127 ? Number(this.#bytes.readBigUInt64BE(FIXED_BYTES)) : short;
  }

  /** The header as it came; valid until {@link reset}. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#received);
  }

  get #first(): number {
    return this.#bytes[0] ?? 0;
  }

  get #second(): number {
    return this.#bytes[1] ?? 0;
  }
}

function headerBytes(second: number): number {
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  return FIXED_BYTES + extended + ((second & 0x80) === 0 ? 0 : 4);
}
