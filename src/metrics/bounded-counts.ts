/** Counts by name and outcome, for a bounded number of names: a further one is counted as {@link OTHER}. */

const OTHER = "other";

export class BoundedCounts {
  readonly #maxNames: number;
  readonly #byName = new Map<string, Map<string, number>>();
  readonly #other = new Map<string, number>();

  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  get isFull(): boolean {
    return this.#byName.size >= this.#maxNames;
  }

  /** @param outcome of a closed set */
  add(name: string, outcome: string): void {
    const counts = this.#countsOf(name);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }

  /** Drops all names but these. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#byName.keys()) if (!names.has(name)) this.#byName.delete(name);
  }

  *all(): Generator<{ name: string; outcome: string; count: number }> {
    for (const [name, counts] of [...this.#byName, [OTHER, this.#other] as const]) {
      for (const [outcome, count] of counts) yield { name, outcome, count };
    }
  }

  #countsOf(name: string): Map<string, number> {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.isFull || name === OTHER) return this.#other;
    const counts = new Map<string, number>();
    this.#byName.set(name, counts);
    return counts;
  }
}
