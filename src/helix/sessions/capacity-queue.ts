/**
 * Creations that wait for an instance or a place: woken whenever there may be one, each then looks again by itself. Their number
 * is bounded where they enter (`placement.ts`).
 */
import { TurnaboutError } from "../../wire/errors.ts";

interface Waiter {
  wake(): void;
  fail(error: TurnaboutError): void;
}

export class CapacityQueue {
  /** In the order of their arrival, which is the order in which they are woken. */
  readonly #waiters = new Set<Waiter>();
  #closed = false;

  /** An instance or a place may have become free, or is no longer awaited. */
  changed(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }

  /** Refuses all who wait, and all who will. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.fail(shuttingDown());
  }

  /**
   * Resolves at the next change, or after this time.
   *
   * @throws TurnaboutError `aborted`, `control_plane_draining`
   */
  async next(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#closed) throw shuttingDown();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { wake: resolve, fail: reject };
    this.#waiters.add(waiter);
    const timer = setTimeout(resolve, timeoutMs);
    const onAbort = () => {
      const message = "create session: aborted by the caller";
      reject(new TurnaboutError("aborted", message, { cause: signal?.reason }));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#waiters.delete(waiter);
    }
  }
}

function shuttingDown(): TurnaboutError {
  return new TurnaboutError("control_plane_draining", "create session: the control plane is shutting down");
}
