/** What callers have in flight, so that a shutdown can wait for it. */
import type { EventEmitter } from "node:events";
import { OpenList } from "./open-list.ts";
import type { Listed } from "./open-list.ts";

interface Item extends Listed {
  readonly emitter: EventEmitter;
  /** When it began, on the clock of `performance.now()`. */
  readonly sinceMs: number;
  readonly cut: (() => void) | undefined;
  /** See {@link InFlight.yields}. */
  yields: boolean;
}

/** Not in a WeakMap: one that lives long would keep what it has held, as {@link OpenList} says of a Map. */
const ITEM = Symbol("in flight");

type Counted = EventEmitter & { [ITEM]?: Item };

export interface EndedOptions {
  /** Only what began before this moment of `performance.now()`. Default: everything. */
  beforeMs?: number | undefined;
  timeoutMs: number;
  /** Also what yields. Default false. */
  withYielding?: boolean;
}

/** Exchanges, upgraded sockets and streams; each counts until its 'close'. */
export class InFlight {
  readonly #open = new OpenList<Item>();
  readonly #waiting = new Set<() => void>();

  get size(): number {
    return this.#open.size;
  }

  /** @param cut ends it at the deadline of a shutdown, where nothing else does */
  add(emitter: EventEmitter, cut?: () => void): void {
    const item: Item = { emitter, sinceMs: performance.now(), cut, yields: false, listIndex: -1 };
    this.#open.add(item);
    (emitter as Counted)[ITEM] = item;
    emitter.once("close", () => this.#remove(item));
  }

  /** It turns out to be no caller's: an agent's connection. */
  release(emitter: EventEmitter): void {
    const item = (emitter as Counted)[ITEM];
    if (item !== undefined) this.#remove(item);
  }

  /** An endless stream of our own: it is ended when everything else has ended. */
  yields(emitter: EventEmitter): void {
    const item = (emitter as Counted)[ITEM];
    if (item === undefined) return;
    item.yields = true;
    this.#check();
  }

  all(): EventEmitter[] {
    return this.#open.all().map(({ emitter }) => emitter);
  }

  /** Cuts what began before this moment and has nothing else that ends it. */
  cut(beforeMs: number): void {
    for (const { sinceMs, cut } of this.#open.all()) if (sinceMs < beforeMs) cut?.();
  }

  /** Resolves to true when nothing of it is in flight, to false when the time is over. */
  async ended({ beforeMs = Infinity, timeoutMs, withYielding = false }: EndedOptions): Promise<boolean> {
    const hasEnded = (): boolean => {
      for (const { sinceMs, yields } of this.#open.values()) {
        if (sinceMs < beforeMs && (withYielding || !yields)) return false;
      }
      return true;
    };
    if (hasEnded()) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const check = (): void => {
      if (hasEnded()) resolve(true);
    };
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.#waiting.add(check);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(check);
    }
  }

  #remove(item: Item): void {
    if (this.#open.remove(item)) this.#check();
  }

  #check(): void {
    for (const check of this.#waiting) check();
  }
}
