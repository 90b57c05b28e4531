/** What callers have in flight, so that a shutdown can wait for it. */
import type { EventEmitter } from "node:events";

interface Item {
  /** When it began, on the clock of `performance.now()`. */
  readonly sinceMs: number;
  readonly cut: (() => void) | undefined;
  /** See {@link InFlight.yields}. */
  yields: boolean;
}

export interface EndedOptions {
  /** Only what began before this moment of `performance.now()`. Default: everything. */
  beforeMs?: number | undefined;
  timeoutMs: number;
  /** Also what yields. Default false. */
  withYielding?: boolean;
}

/** Exchanges, upgraded sockets and streams; each counts until its 'close'. */
export class InFlight {
  /** Oldest first. */
  readonly #open = new Map<EventEmitter, Item>();
  readonly #waiting = new Set<() => void>();

  get size(): number {
    return this.#open.size;
  }

  /** @param cut ends it at the deadline of a shutdown, where nothing else does */
  add(emitter: EventEmitter, cut?: () => void): void {
    this.#open.set(emitter, { sinceMs: performance.now(), cut, yields: false });
    emitter.once("close", () => this.release(emitter));
  }

  /** It turns out to be no caller's: an agent's connection. */
  release(emitter: EventEmitter): void {
    if (this.#open.delete(emitter)) this.#check();
  }

  /** An endless stream of our own: it is ended when everything else has ended. */
  yields(emitter: EventEmitter): void {
    const item = this.#open.get(emitter);
    if (item === undefined) return;
    item.yields = true;
    this.#check();
  }

  all(): Iterable<EventEmitter> {
    return this.#open.keys();
  }

  /** Cuts what began before this moment and has nothing else that ends it. */
  cut(beforeMs: number): void {
    for (const { sinceMs, cut } of this.#open.values()) if (sinceMs < beforeMs) cut?.();
  }

  /** Resolves to true when nothing of it is in flight, to false when the time is over. */
  async ended({ beforeMs = Infinity, timeoutMs, withYielding = false }: EndedOptions): Promise<boolean> {
    const hasEnded = (): boolean => {
      for (const { sinceMs, yields } of this.#open.values()) {
        if (sinceMs >= beforeMs) return true;
        if (withYielding || !yields) return false;
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

  #check(): void {
    for (const check of this.#waiting) check();
  }
}
