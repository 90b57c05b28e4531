/** How many may do something at once, and how many may wait for it. */
import { TurnaboutError } from "../../wire/errors.ts";

export interface SlotLimits {
  /** At once. */
  open: number;
  /** Waiting; the next one is refused at once. */
  waiting: number;
}

export class Semaphore {
  readonly #limits: SlotLimits;
  readonly #waiters: (() => void)[] = [];
  #open = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /**
   * Resolves, first come first served, with the function that gives the slot back (idempotent).
   *
   * @throws TurnaboutError `overloaded` if too many wait; the signal's reason
   */
  async acquire(label: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#open < this.#limits.open) this.#open += 1;
    else await this.#wait(label, signal);
    let held = true;
    return () => {
      if (held) this.#release();
      held = false;
    };
  }

  async #wait(label: string, signal: AbortSignal): Promise<void> {
    if (this.#waiters.length >= this.#limits.waiting) {
      throw new TurnaboutError("overloaded", `${label}: ${this.#waiters.length} calls wait already`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      const place = this.#waiters.indexOf(resolve);
      // Not there any more: its turn has come in this very moment, and the slot is its own.
      if (place !== -1) this.#waiters.splice(place, 1);
      reject(signal.reason as Error);
    };
    this.#waiters.push(resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The slot goes to the next in the queue without being free in between. */
  #release(): void {
    const next = this.#waiters.shift();
    if (next === undefined) this.#open -= 1;
    else next();
  }
}
