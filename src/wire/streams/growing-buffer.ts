/**
 * Collects bytes that come in pieces. They are copied into one buffer that doubles when it is full, so that work and memory
 * for each byte are constant, however small the pieces are: a list of pieces costs about 100 bytes for each of them.
 */

const FIRST_BYTES = 256;

export class GrowingBuffer {
  #bytes: Buffer;
  #length: number;

  /** @param first kept as it is, without a copy: most often there is no second piece */
  constructor(first: Buffer = Buffer.alloc(0)) {
    this.#bytes = first;
    this.#length = first.length;
  }

  get length(): number {
    return this.#length;
  }

  append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#bytes.length, FIRST_BYTES));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** All bytes so far; valid until the next {@link append}. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** All bytes so far. Afterwards it is empty. */
  take(): Buffer {
    const bytes = this.view();
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return bytes;
  }
}
