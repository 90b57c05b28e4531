/**
 * What is open at the moment, where it comes and goes with every request or stream. A Map or Set that lives as long as the
 * process must not hold it: when V8 replaces the table of one, the old table keeps its members and refers to the new one. Once
 * one table has reached the old generation, all later tables follow it there, with the requests that were open at the time,
 * until the next full collection (docs/traps.md).
 */

export interface Listed {
  /** Where the list has it; for the list only. Initially -1. */
  listIndex: number;
}

/** In no particular order. All operations on one item take constant time. */
export class OpenList<Item extends Listed> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    item.listIndex = this.#items.length;
    this.#items.push(item);
  }

  has(item: Item): boolean {
    return this.#items[item.listIndex] === item;
  }

  /** @returns false if it is not in the list */
  remove(item: Item): boolean {
    const at = item.listIndex;
    if (this.#items[at] !== item) return false;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#items[at] = last;
      last.listIndex = at;
    }
    item.listIndex = -1;
    return true;
  }

  /** A copy: items may come and go while it is looked through. */
  all(): Item[] {
    return [...this.#items];
  }

  /** Nothing may be added or removed meanwhile. */
  values(): Iterable<Item> {
    return this.#items;
  }
}
