/**
 * Wolf's only I/O thread. Handlers run one after another, and one that waits (`lobbies/create`) blocks all others: no
 * response, event or keepalive is sent meanwhile, and callers must not take that for a failure.
 */
import { setTimeout as delay } from "node:timers/promises";

export class IoThread {
  #tail: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  readonly #holds = new Set<() => void>();

  /** Runs `work` when everything queued before it has finished. */
  run<T>(work: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.then(nothing, nothing);
    return result;
  }

  /** Blocks the thread from inside a handler. Rejects with AbortError when the double closes meanwhile. */
  async stall(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: this.#closing.signal });
  }

  /** Blocks the thread from outside until the returned function is called, or until `close`. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const release = (): void => {
      this.#holds.delete(release);
      resolve();
    };
    this.#holds.add(release);
    void this.run(() => promise);
    return release;
  }

  close(): void {
    this.#closing.abort();
    for (const release of this.#holds) release();
  }
}

function nothing(): void {}
