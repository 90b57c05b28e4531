/** Lines out of a byte stream. A line that is too long is dropped as it arrives: it takes no memory, and later lines count. */
import { GrowingBuffer } from "./growing-buffer.ts";

export interface LineListener {
  line(text: string): void;
  /** Called once for each line above the limit, as soon as it exceeds it. */
  tooLong(): void;
}

const LF = 0x0a;

/** Splits at `\n` and drops a `\r` before it. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #listener: LineListener;
  readonly #held = new GrowingBuffer();
  /** Of the current line, dropped ones included. */
  #bytes = 0;

  constructor(maxBytes: number, listener: LineListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      const piece = chunk.subarray(start, end);
      if (this.#bytes === 0) this.#report(piece);
      else {
        this.#add(piece);
        this.#flush();
      }
      start = end + 1;
    }
    if (start < chunk.length) this.#add(chunk.subarray(start));
  }

  /** Bytes after the last `\n` are a line too, if there are any. */
  end(): void {
    if (this.#bytes > 0) this.#flush();
  }

  #add(piece: Buffer): void {
    const wasWhole = this.#bytes <= this.#maxBytes;
    this.#bytes += piece.length;
    if (this.#bytes <= this.#maxBytes) return this.#held.append(piece);
    this.#held.take();
    if (wasWhole) this.#listener.tooLong();
  }

  #flush(): void {
    const isWhole = this.#bytes <= this.#maxBytes;
    const bytes = this.#held.take();
    this.#bytes = 0;
    if (isWhole) this.#report(bytes);
  }

  #report(bytes: Buffer): void {
    if (bytes.length > this.#maxBytes) return this.#listener.tooLong();
    const text = bytes.toString("utf8");
    this.#listener.line(text.endsWith("\r") ? text.slice(0, -1) : text);
  }
}
