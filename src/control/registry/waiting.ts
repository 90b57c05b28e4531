/** Dials that wait for one runner, each with its own deadline. */
import { setMaxListeners } from "node:events";
import { TurnaboutError } from "../../wire/errors.ts";
import { WAITING_DIALS_PER_RUNNER } from "../limits.ts";

interface Waiter {
  wake(): void;
  fail(error: TurnaboutError): void;
}

export class Waiting {
  readonly #waiters = new Set<Waiter>();

  get size(): number {
    return this.#waiters.size;
  }

  /** Something has changed; each decides for itself. */
  wake(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }

  fail(error: TurnaboutError): void {
    for (const waiter of this.#waiters) waiter.fail(error);
  }

  /**
   * Until something changes or the time is over.
   *
   * @throws TurnaboutError `overloaded`, `aborted`, or what {@link fail} was given
   */
  async wait(runnerId: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiters.size >= WAITING_DIALS_PER_RUNNER) {
      throw new TurnaboutError(
        "overloaded",
        `dial ${runnerId}: ${WAITING_DIALS_PER_RUNNER} dials wait already`,
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { wake: resolve, fail: reject };
    this.#waiters.add(waiter);
    const timer = setTimeout(resolve, timeoutMs);
    const onAbort = () => reject(new TurnaboutError("aborted", `dial ${runnerId}: given up`));
    if (signal !== undefined) setMaxListeners(0, signal);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#waiters.delete(waiter);
    }
  }
}
