/**
 * Reads a source at once and to its end, however slow its reader is: for senders that are in trouble when nobody reads.
 * What the reader has not taken is kept up to a bound; beyond it the oldest goes, and the reader is told how many went.
 */
import { toError } from "../../wire/errors.ts";

export interface DrainedBounds<T> {
  maxItems: number;
  maxBytes: number;
  bytesOf: (item: T) => number;
}

export interface DrainedItem<T> {
  item: T;
  /** How many were thrown away between this one and the one before. */
  missed: number;
}

/** One reader at a time. */
export class BoundedBuffer<T> {
  readonly #bounds: DrainedBounds<T>;
  #kept: T[] = [];
  #bytes = 0;
  #missed = 0;
  #end: { error: Error | undefined } | undefined;
  #wake: () => void = () => {};

  constructor(source: AsyncIterable<T>, bounds: DrainedBounds<T>) {
    this.#bounds = bounds;
    void this.#drain(source);
  }

  /** Undefined at the end. @throws what the source threw, after everything that came before it */
  async next(): Promise<DrainedItem<T> | undefined> {
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
