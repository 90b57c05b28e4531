/** Lines of an agent's `/events`. One that is too long is dropped as it comes: it takes no memory, and those behind it count. */

export interface EventLinesListener {
  line(text: string): void;
  /** Once for each line above the limit, when that is seen. */
  tooLong(): void;
}

const LF = 0x0a;

export class EventLines {
  readonly #maxBytes: number;
  readonly #listener: EventLinesListener;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number, listener: EventLinesListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#add(chunk.subarray(start, end));
      const isWhole = this.#bytes <= this.#maxBytes;
      const text = Buffer.concat(this.#pieces).toString("utf8");
      this.#pieces = [];
      this.#bytes = 0;
      if (isWhole) this.#listener.line(text);
      start = end + 1;
    }
    if (start < chunk.length) this.#add(chunk.subarray(start));
  }

  #add(piece: Buffer): void {
    const wasWhole = this.#bytes <= this.#maxBytes;
    this.#bytes += piece.length;
    if (this.#bytes <= this.#maxBytes) return void this.#pieces.push(piece);
    this.#pieces = [];
    if (wasWhole) this.#listener.tooLong();
  }
}
