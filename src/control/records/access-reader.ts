/** One who reads the access log live: a bounded queue of the lines that match. */
import { Guard } from "../../wire/streams/guard.ts";
import { ACCESS_READER_MAX_LINES } from "./limits.ts";
import type { RequestRecord } from "./request-record.ts";

export interface AccessReaderOptions {
  /** Default: every record. Must not keep the record. */
  matches?: ((record: RequestRecord) => boolean) | undefined;
  /** Lines that may wait. Default {@link ACCESS_READER_MAX_LINES}. */
  maxLines?: number | undefined;
}

export interface AccessLines {
  /** With their ends. */
  lines: string[];
  /** Lines before these that were dropped because too many waited. */
  dropped: number;
}

export class AccessReader {
  readonly #matches: (record: RequestRecord) => boolean;
  readonly #maxLines: number;
  readonly #onClose: () => void;
  #lines: string[] = [];
  #dropped = 0;
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(options: AccessReaderOptions, onClose: () => void) {
    this.#matches = options.matches ?? (() => true);
    this.#maxLines = options.maxLines ?? ACCESS_READER_MAX_LINES;
    this.#onClose = onClose;
  }

  offer(record: RequestRecord, line: string): void {
    const guard = new Guard(() => this.close()); // a filter that fails must not fail the request
    guard.run(() => {
      if (this.#isClosed || !this.#matches(record)) return;
      if (this.#lines.length >= this.#maxLines) this.#dropped += 1;
      else this.#lines.push(line);
      this.#wake?.();
    });
  }

  /** All that has come since the last call, or what comes next; undefined when it is closed. One call at a time. */
  async read(): Promise<AccessLines | undefined> {
    while (this.#lines.length === 0 && !this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    const read = { lines: this.#lines, dropped: this.#dropped };
    this.#lines = [];
    this.#dropped = 0;
    return read.lines.length === 0 ? undefined : read;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
    this.#wake?.();
  }
}
