/** Durations counted in buckets, as a histogram exposes them. An observation allocates nothing: there are several for each request. */

/** Of requests: from a target beside its agent to one that is slow, and to downloads. */
export const REQUEST_BUCKETS_S: readonly number[] = [
  0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60,
];

export class Durations {
  /** Upper bounds in seconds, ascending. */
  readonly bucketsS: readonly number[];
  /** One for each bucket, and one for what is above the last. Not cumulative. */
  readonly counts: Float64Array;
  count = 0;
  sumS = 0;

  constructor(bucketsS: readonly number[] = REQUEST_BUCKETS_S) {
    this.bucketsS = bucketsS;
    this.counts = new Float64Array(bucketsS.length + 1);
  }

  observeMs(ms: number): void {
    const seconds = ms / 1_000;
    const { bucketsS, counts } = this;
    let index = 0;
    while (index < bucketsS.length && seconds > (bucketsS[index] ?? Infinity)) index += 1;
    counts[index] = (counts[index] ?? 0) + 1;
    this.count += 1;
    this.sumS += seconds;
  }
}
