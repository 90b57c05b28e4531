/** One who reads the access log live: a bounded queue of the lines that match. */
import { Guard } from "../../wire/streams/guard.ts";
import { ACCESS_READER_MAX_LINES, ACCESS_READER_MAX_LENGTH } from "./limits.ts";
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
  /** Lines behind these that were dropped because too many waited. */
  dropped: number;
}

export class AccessReader {
  readonly #matches: (record: RequestRecord) => boolean;
  readonly #maxLines: number;
  readonly #onClose: () => void;
  /** A filter that fails must not fail the request. */
  readonly #guard: Guard = new Guard(() => this.close());
  #lines: string[] = [];
  #length = 0;
  #dropped = 0;
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(options: AccessReaderOptions, onClose: () => void) {
    this.#matches = options.matches ?? (() => true);
    this.#maxLines = options.maxLines ?? ACCESS_READER_MAX_LINES;
    this.#onClose = onClose;
  }

  /** Characters of the lines that wait. */
  get heldLength(): number {
    return this.#length;
  }

  /** @param format makes the line: only for a reader that takes it */
  offer(record: RequestRecord, format: (record: RequestRecord) => string): void {
    this.#guard.run(() => {
      if (this.#isClosed || !this.#matches(record)) return;
      this.#take(record, format);
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
    this.#length = 0;
    this.#dropped = 0;
    return read.lines.length === 0 ? undefined : read;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
    this.#wake?.();
  }

  #take(record: RequestRecord, format: (record: RequestRecord) => string): void {
    if (this.#lines.length >= this.#maxLines || this.#length >= ACCESS_READER_MAX_LENGTH) {
      this.#dropped += 1;
      return;
    }
    const line = format(record);
    this.#lines.push(line);
    this.#length += line.length;
  }
}
