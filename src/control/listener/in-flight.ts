/** Counts what callers have in flight, so that a shutdown can wait for it. */
import type { EventEmitter } from "node:events";

/** Exchanges, upgraded sockets and HTTP/2 connections; each counts until its 'close'. */
export class InFlight {
  readonly #open = new Set<EventEmitter>();
  readonly #idle = Promise.withResolvers<void>();
  #isEnding = false;

  /** @param onClose called after 'close', once {@link idle} is awaited */
  add(emitter: EventEmitter, onClose?: () => void): void {
    this.#open.add(emitter);
    emitter.once("close", () => {
      this.#open.delete(emitter);
      if (!this.#isEnding) return;
      onClose?.();
      if (this.#open.size === 0) this.#idle.resolve();
    });
  }

  /** Resolves when nothing is in flight, or when the deadline has passed. */
  async idle(deadlineMs: number): Promise<void> {
    this.#isEnding = true;
    if (this.#open.size === 0) return;
    const timer = setTimeout(this.#idle.resolve, deadlineMs);
    await this.#idle.promise;
    clearTimeout(timer);
  }
}
