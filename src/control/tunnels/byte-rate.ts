/** Bytes per second of a counter, measured between two reads that are far enough apart. */
export class ByteRate {
  readonly #read: () => number;
  readonly #sampleMs: number;
  #sampledAt = 0;
  #sampledBytes = 0;
  #bytesPerS = 0;

  /** @param read the counter's present value @param sampleMs shortest time between two samples */
  constructor(read: () => number, sampleMs: number) {
    this.#read = read;
    this.#sampleMs = sampleMs;
  }

  get bytesPerS(): number {
    const now = performance.now();
    const elapsedMs = now - this.#sampledAt;
    if (elapsedMs >= this.#sampleMs) {
      const bytes = this.#read();
      this.#bytesPerS = ((bytes - this.#sampledBytes) * 1_000) / elapsedMs;
      this.#sampledBytes = bytes;
      this.#sampledAt = now;
    }
    return this.#bytesPerS;
  }
}
