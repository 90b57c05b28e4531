/** Places that many holders share. When all are taken, one with fewer gets a place of the one with the most. */

export class FairPlaces<Item> {
  /** By holder, the newest last. */
  readonly #held = new Map<string, Set<Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  count(holder: string): number {
    return this.#held.get(holder)?.size ?? 0;
  }

  of(holder: string): readonly Item[] {
    return [...(this.#held.get(holder) ?? [])];
  }

  /** @returns gives the place back; further calls have no effect */
  take(holder: string, item: Item): () => void {
    const items = this.#held.get(holder) ?? new Set();
    this.#held.set(holder, items.add(item));
    this.#size += 1;
    return () => {
      if (!items.delete(item)) return;
      this.#size -= 1;
      if (items.size === 0) this.#held.delete(holder);
    };
  }

  /** Items of the holder with the most, the oldest first. */
  largest(): readonly Item[] {
    let largest: ReadonlySet<Item> = new Set();
    for (const items of this.#held.values()) if (items.size > largest.size) largest = items;
    return [...largest];
  }

  /**
   * What has to go for this holder: the newest item of the one with the most. Undefined if that has no more than this
   * holder would have.
   */
  displacedBy(holder: string): Item | undefined {
    const largest = this.largest();
    return largest.length > this.count(holder) + 1 ? largest.at(-1) : undefined;
  }
}
