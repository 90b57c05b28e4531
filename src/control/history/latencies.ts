/** Durations of one step of the history, counted in buckets that are at most a quarter apart. Counting allocates nothing. */

/** Quarters of a power of two of microseconds: 16 µs to 36 minutes. */
const QUARTERS_BITS = 2;
const FIRST_EXPONENT = 4;
const EXPONENTS = 27;
const BUCKETS = EXPONENTS * 2 ** QUARTERS_BITS;

export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;

  addMs(ms: number): void {
    const us = Math.min(Math.max(ms * 1_000, 2 ** FIRST_EXPONENT), 2 ** 31 - 1) | 0;
    const exponent = 31 - Math.clz32(us);
    const quarter = (us >>> (exponent - QUARTERS_BITS)) & (2 ** QUARTERS_BITS - 1);
    const index = ((exponent - FIRST_EXPONENT) << QUARTERS_BITS) + quarter;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count += 1;
  }

  /** The middle of the bucket in which it is; undefined if nothing was counted. */
  percentileMs(percent: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil((this.#count * percent) / 100));
    let seen = 0;
    const index = this.#counts.findIndex((count) => (seen += count) >= rank);
    const exponent = FIRST_EXPONENT + (index >> QUARTERS_BITS);
    const quarter = index & (2 ** QUARTERS_BITS - 1);
    const us = 2 ** exponent * (1 + (quarter + 0.5) / 2 ** QUARTERS_BITS);
    return Math.round(us) / 1_000;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
  }
}
