/**
 * Lists of what was added last: each has a bound of its own, and all have one together. A list that has more than its part makes
 * room for itself, so that a busy one takes nothing from a quiet one. Everything takes constant time.
 */

/** In two chains: of all, and of its list. */
class Entry<T> {
  /** Greater than that of every entry that was added before. */
  readonly number: number;
  readonly value: T;
  readonly length: number;
  readonly list: BoundedList<T>;
  older: Entry<T> | undefined;
  newer: Entry<T> | undefined;
  olderInList: Entry<T> | undefined;
  newerInList: Entry<T> | undefined;

  constructor(number: number, value: T, length: number, list: BoundedList<T>) {
    this.number = number;
    this.value = value;
    this.length = length;
    this.list = list;
  }
}

export interface Kept<T> {
  readonly number: number;
  readonly value: T;
}

export class BoundedList<T> {
  readonly max: number;
  /** Called when it has become empty: it is not used again. */
  readonly onEmpty: () => void;
  size = 0;
  oldest: Entry<T> | undefined;
  newest: Entry<T> | undefined;

  constructor(max: number, onEmpty: () => void) {
    this.max = max;
    this.onEmpty = onEmpty;
  }

  /** The latest first. */
  *[Symbol.iterator](): Generator<Kept<T>> {
    for (let entry = this.newest; entry !== undefined; entry = entry.olderInList) yield entry;
  }
}

export interface TotalBounds {
  /** Entries of all lists. */
  size: number;
  /** And the sum of their lengths. Default: any. */
  length?: number;
}

export class BoundedLists<T> {
  readonly #maxSize: number;
  readonly #maxLength: number;
  #lists = 0;
  #oldest: Entry<T> | undefined;
  #newest: Entry<T> | undefined;
  #size = 0;
  #length = 0;
  #number = 0;

  constructor({ size, length = Infinity }: TotalBounds) {
    this.#maxSize = size;
    this.#maxLength = length;
  }

  get size(): number {
    return this.#size;
  }

  /** Number of the latest; 0 before the first. */
  get latest(): number {
    return this.#number;
  }

  /** The latest of all lists first. */
  *[Symbol.iterator](): Generator<Kept<T>> {
    for (let entry = this.#newest; entry !== undefined; entry = entry.older) yield entry;
  }

  /** @param list belongs to these lists alone */
  add(list: BoundedList<T>, value: T, length: number = 0): void {
    if (list.size === 0) this.#lists += 1;
    this.#append(new Entry((this.#number += 1), value, length, list));
    if (list.size > list.max) this.#remove(list.oldest);
    while (this.#size > this.#maxSize || this.#length > this.#maxLength) {
      const part = Math.max(1, this.#maxSize / this.#lists);
      this.#remove(list.size > part ? list.oldest : this.#oldest);
    }
  }

  #append(entry: Entry<T>): void {
    const { list } = entry;
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    entry.olderInList = list.newest;
    if (list.newest === undefined) list.oldest = entry;
    else list.newest.newerInList = entry;
    list.newest = entry;
    list.size += 1;
    this.#size += 1;
    this.#length += entry.length;
  }

  /** @param entry the oldest of its list, as the oldest of all is too */
  #remove(entry: Entry<T> | undefined): void {
    if (entry === undefined) return;
    const { list, older, newer, newerInList } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    list.oldest = newerInList;
    if (newerInList === undefined) list.newest = undefined;
    else newerInList.olderInList = undefined;
    list.size -= 1;
    this.#size -= 1;
    this.#length -= entry.length;
    if (list.size > 0) return;
    this.#lists -= 1;
    list.onEmpty();
  }
}

/** The list of this key; a new one leaves the map when it is empty. */
export function listIn<T>(
  map: Map<string, BoundedList<T>>,
  key: string,
  max: number,
  onEmpty: () => void = () => {},
): BoundedList<T> {
  const known = map.get(key);
  if (known !== undefined) return known;
  const list = new BoundedList<T>(max, () => {
    map.delete(key);
    onEmpty();
  });
  map.set(key, list);
  return list;
}
