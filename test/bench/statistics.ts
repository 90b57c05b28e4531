/** The few statistics that the report needs. */

/** NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).toSorted();
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Nearest rank below, of an unsorted list. @param share 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Medians of an interleaved series: of each side, and of the ratios and differences of neighbours. */
export interface Pairs {
  value: number;
  baseline: number;
  ratio: number;
  difference: number;
}

export function comparePairs(values: readonly number[], baselines: readonly number[]): Pairs {
  const neighbours = values.map((value, index) => ({ value, baseline: baselines[index] ?? Number.NaN }));
  return {
    value: median(values),
    baseline: median(baselines),
    ratio: median(neighbours.map(({ value, baseline }) => value / baseline)),
    difference: median(neighbours.map(({ value, baseline }) => value - baseline)),
  };
}
