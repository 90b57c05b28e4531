/**
 * Reads a source immediately and to its end, however slow its consumer is: for senders that must not be blocked. Items that
 * the consumer has not taken are kept up to a limit; above it the oldest is dropped, and the consumer learns how many were.
 */
import { toError } from "../../wire/errors.ts";

export interface BufferBounds<T> {
  maxItems: number;
  maxBytes: number;
  bytesOf: (item: T) => number;
}

export interface BufferedItem<T> {
  item: T;
  /** Items dropped between the previous one and this one. */
  missed: number;
}

/** For one consumer. */
export class BoundedBuffer<T> {
  readonly #bounds: BufferBounds<T>;
  #kept: T[] = [];
  #bytes = 0;
  #missed = 0;
  #end: { error: Error | undefined } | undefined;
  #wake: () => void = () => {};

  constructor(source: AsyncIterable<T>, bounds: BufferBounds<T>) {
    this.#bounds = bounds;
    void this.#drain(source);
  }

  /** Undefined at the end. @throws the source's error, after all items before it */
  async next(): Promise<BufferedItem<T> | undefined> {
    for (;;) {
      const item = this.#kept.shift();
      if (item !== undefined) {
        this.#bytes -= this.#bounds.bytesOf(item);
        const missed = this.#missed;
        this.#missed = 0;
        return { item, missed };
      }
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async #drain(source: AsyncIterable<T>): Promise<void> {
    let error: Error | undefined;
    try {
      for await (const item of source) this.#keep(item);
    } catch (cause) {
      error = toError(cause);
    }
    this.#end = { error };
    this.#wake();
  }

  #keep(item: T): void {
    const { maxItems, maxBytes, bytesOf } = this.#bounds;
    this.#kept.push(item);
    this.#bytes += bytesOf(item);
    while (this.#kept.length > 1 && (this.#kept.length > maxItems || this.#bytes > maxBytes)) {
      const oldest = this.#kept.shift();
      if (oldest !== undefined) this.#bytes -= bytesOf(oldest);
      this.#missed += 1;
    }
    this.#wake();
  }
}
