/** A queue in lanes, one for each holder: first come, first served within a lane, and the lanes take turns. */
export class TurnQueue<Item> {
  /** The lane whose turn is next comes first. */
  readonly #lanes = new Map<string, Set<Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  lengthOf(lane: string): number {
    return this.#lanes.get(lane)?.size ?? 0;
  }

  items(): Item[] {
    return [...this.#lanes.values()].flatMap((lane) => [...lane]);
  }

  /** Whether the first of a lane is such an item. */
  hasFirst(isSuch: (item: Item) => boolean): boolean {
    for (const [first] of this.#lanes.values()) if (first !== undefined && isSuch(first)) return true;
    return false;
  }

  add(lane: string, item: Item): void {
    const items = this.#lanes.get(lane) ?? new Set<Item>();
    items.add(item);
    this.#lanes.set(lane, items);
    this.#size += 1;
  }

  /** @returns false if it does not wait in that lane */
  remove(lane: string, item: Item): boolean {
    const items = this.#lanes.get(lane);
    if (items?.delete(item) !== true) return false;
    this.#size -= 1;
    if (items.size === 0) this.#lanes.delete(lane);
    return true;
  }

  /**
   * Offers the first of each lane in turn, until none is taken.
   *
   * @param take true if the item leaves the queue. False: its lane waits for a later call
   */
  serve(take: (item: Item, lane: string) => boolean): void {
    // A lane that was served moves behind the others, where this loop finds it again.
    for (const [lane, items] of this.#lanes) {
      const [first] = items;
      if (first === undefined || !take(first, lane)) continue;
      this.remove(lane, first);
      // Not `items`: what `take` has caused may have filled the lane anew.
      const left = this.#lanes.get(lane);
      if (left === undefined) continue;
      this.#lanes.delete(lane);
      this.#lanes.set(lane, left);
    }
  }
}
