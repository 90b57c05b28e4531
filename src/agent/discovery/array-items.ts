/**
 * Splits a JSON array into its elements as its bytes arrive. An element above the limit is dropped as it arrives: it takes no
 * memory, and its neighbours count.
 */
import { TurnaboutError } from "../../wire/errors.ts";

export interface ArrayItemsListener {
  /** An element's text. It need not be valid JSON; what is around it is not part of it. */
  item(text: string): void;
  /** An element was dropped. @param start its first bytes */
  tooLong(start: string): void;
}

/** Kept of an element that is too long. */
const START_BYTES = 1_024;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

export class ArrayItems {
  readonly #maxBytes: number;
  readonly #listener: ArrayItemsListener;
  #state: "before" | "inside" | "behind" = "before";
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #items = 0;

  constructor(maxBytes: number, listener: ArrayItemsListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  /** @throws TurnaboutError `target_protocol` if it is not an array */
  push(chunk: Buffer): void {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#state !== "inside") {
        this.#outside(byte);
        start = at + 1;
      } else if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPENING_BRACKET || byte === OPENING_BRACE) {
        this.#depth += 1;
      } else if (this.#depth === 0 && (byte === COMMA || byte === CLOSING_BRACKET)) {
        this.#add(chunk.subarray(start, at));
        this.#finish(byte === CLOSING_BRACKET);
        start = at + 1;
      } else if (byte === CLOSING_BRACKET || byte === CLOSING_BRACE) {
        this.#depth -= 1;
        if (this.#depth < 0) throw notAList();
      }
    }
    if (this.#state === "inside") this.#add(chunk.subarray(start));
  }

  /** @throws TurnaboutError `target_protocol` if the array is not complete */
  end(): void {
    if (this.#state !== "behind") throw notAList();
  }

  #outside(byte: number): void {
    if (SPACES.has(byte)) return;
    if (this.#state === "behind" || byte !== OPENING_BRACKET) throw notAList();
    this.#state = "inside";
  }

  #add(piece: Buffer): void {
    const wasWhole = this.#bytes <= this.#maxBytes;
    this.#bytes += piece.length;
    if (this.#bytes <= this.#maxBytes) this.#pieces.push(piece);
    // A copy: a piece would keep its whole chunk.
    else if (wasWhole)
      this.#pieces = [Buffer.concat([...this.#pieces, piece], Math.min(START_BYTES, this.#bytes))];
  }

  #finish(isLast: boolean): void {
    const text = Buffer.concat(this.#pieces).toString("utf8");
    const isTooLong = this.#bytes > this.#maxBytes;
    this.#pieces = [];
    this.#bytes = 0;
    if (isLast) this.#state = "behind";
    if (isLast && this.#items === 0 && text.trim() === "") return; // `[]`
    this.#items += 1;
    if (isTooLong) this.#listener.tooLong(text);
    else this.#listener.item(text);
  }
}

function notAList(): TurnaboutError {
  return new TurnaboutError("target_protocol", "docker: the list of containers is not a JSON array");
}
