/** The last few entries of a list: what a double records for tests, bounded under load. */
export class Recent<T> {
  readonly #max: number;
  readonly #items: T[] = [];

  /** @param max entries kept; the oldest is dropped first */
  constructor(max: number) {
    this.#max = max;
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length > this.#max) this.#items.shift();
  }

  /** Oldest first. */
  list(): readonly T[] {
    return [...this.#items];
  }
}
