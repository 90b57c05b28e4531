/** Limits how many calls run at once, and how many wait. */
import { TurnaboutError } from "../../wire/errors.ts";

export interface SemaphoreLimits {
  /** Running at once. */
  open: number;
  /** Waiting. Any further one is refused. */
  waiting: number;
}

export class Semaphore {
  readonly #limits: SemaphoreLimits;
  readonly #waiters: (() => void)[] = [];
  #open = 0;

  constructor(limits: SemaphoreLimits) {
    this.#limits = limits;
  }

  /**
   * Resolves in order of arrival, with an idempotent function that releases the slot.
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
      throw new TurnaboutError("overloaded", `${label}: ${this.#waiters.length} calls are already waiting`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      const place = this.#waiters.indexOf(resolve);
      // Not in the list: it has just been given the slot.
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

  /** Passes the slot to the next waiter without freeing it in between. */
  #release(): void {
    const next = this.#waiters.shift();
    if (next === undefined) this.#open -= 1;
    else next();
  }
}
