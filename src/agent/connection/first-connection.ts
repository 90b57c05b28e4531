/** Those who wait for an agent's first connection, and what they get to know: that it is made, refused or given up. */
import { TurnaboutError } from "../../wire/errors.ts";
import { isFinalRefusal } from "./final-refusal.ts";

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class FirstConnection {
  readonly #waiters = new Set<Waiter>();
  #isMade = false;
  #isClosed = false;
  /** The last refusal, while nobody has got to know it. */
  #refusal: Error | undefined;

  made(): void {
    this.#isMade = true;
    this.#refusal = undefined;
    for (const waiter of this.#waiters) waiter.resolve();
  }

  failed(error: Error): void {
    if (this.#isMade || !isFinalRefusal(error)) return;
    if (this.#waiters.size === 0) this.#refusal = error;
    for (const waiter of this.#waiters) waiter.reject(error);
  }

  close(): void {
    this.#isClosed = true;
    for (const waiter of this.#waiters) waiter.reject(closed());
  }

  /** @throws TurnaboutError of a refusal, or `aborted`, or `agent_draining` */
  async wait(signal?: AbortSignal): Promise<void> {
    if (this.#isMade) return;
    if (this.#isClosed) throw closed();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { resolve, reject };
    const onAbort = (): void => {
      const cause: unknown = signal?.reason;
      reject(new TurnaboutError("aborted", "agent: waiting for a connection was aborted", { cause }));
    };
    const refusal = this.#refusal;
    this.#refusal = undefined;
    if (refusal !== undefined) reject(refusal);
    if (signal?.aborted === true) onAbort();
    this.#waiters.add(waiter);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#waiters.delete(waiter);
    }
  }
}

function closed(): TurnaboutError {
  return new TurnaboutError("agent_draining", "agent: closed before its first connection");
}
