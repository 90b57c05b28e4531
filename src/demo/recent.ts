/** The last few of something: what a double remembers for tests, without growing under load. */
export class Recent<T> {
  readonly #most: number;
  readonly #items: T[] = [];

  /** @param most entries kept; the oldest goes first */
  constructor(most: number) {
    this.#most = most;
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length > this.#most) this.#items.shift();
  }

  /** Oldest first. */
  list(): readonly T[] {
    return [...this.#items];
  }
}
