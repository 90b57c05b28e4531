/**
 * JSON values that come one after the other in a body, with or without line ends between them. Each is complete with its last
 * byte, not with what follows it: a value may be needed long before the next one comes.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { parseJson } from "./lossless-json.ts";

/**
 * Values as they come. A number, `true`, `false` and `null` have no end of their own: they are complete with the byte behind
 * them, or with the end of the body.
 *
 * @param maxBytes of the whole body
 * @throws TurnaboutError `target_protocol` for what is not JSON, and for more than `maxBytes`
 */
export async function* jsonValues(
  chunks: AsyncIterable<Buffer>,
  maxBytes: number,
  label: string,
): AsyncGenerator<unknown, void, undefined> {
  const reader = new JsonValueReader(maxBytes, label);
  for await (const chunk of chunks) yield* reader.push(chunk);
  yield* reader.end();
}

/** The values of a whole body. @throws TurnaboutError `target_protocol` */
export function parseJsonValues(body: Buffer, label: string): unknown[] {
  const reader = new JsonValueReader(body.length, label);
  return [...reader.push(body), ...reader.end()];
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN: ReadonlySet<number> = bytesOf("{[");
const CLOSE: ReadonlySet<number> = bytesOf("}]");
/** RFC 8259 §2. */
const WHITESPACE: ReadonlySet<number> = bytesOf(" \t\r\n");
/** First bytes of a number and of a literal, and the bytes that they consist of. */
const SCALAR_START: ReadonlySet<number> = bytesOf("-0123456789tfn");
const SCALAR: ReadonlySet<number> = bytesOf("+-.0123456789Eabcdefghijklmnopqrstuvwxyz");

function bytesOf(characters: string): ReadonlySet<number> {
  return new Set(Buffer.from(characters));
}

/** `container`: an object or a list; `scalar`: a number or a literal. */
type Kind = "none" | "container" | "string" | "scalar";

/** Looks at each byte once: finding where a value ends takes no parsing. Of UTF-8 it sees whole values only. */
export class JsonValueReader {
  readonly #maxBytes: number;
  readonly #label: string;
  readonly #held = new GrowingBuffer();
  #bytes = 0;
  #kind: Kind = "none";
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  constructor(maxBytes: number, label: string) {
    this.#maxBytes = maxBytes;
    this.#label = label;
  }

  *push(chunk: Buffer): Generator<unknown, void, undefined> {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) throw this.#failure(`more than ${this.#maxBytes} bytes`);
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#kind === "scalar" && !SCALAR.has(byte)) {
        yield this.#take(chunk.subarray(start, at));
      }
      if (this.#kind === "none") {
        if (WHITESPACE.has(byte)) continue;
        this.#begin(byte);
        start = at;
      } else if (this.#isLast(byte)) yield this.#take(chunk.subarray(start, at + 1));
    }
    if (this.#kind !== "none") this.#held.append(chunk.subarray(start));
  }

  /** @throws TurnaboutError if the body ends within a value */
  *end(): Generator<unknown, void, undefined> {
    if (this.#kind !== "none") yield this.#take(Buffer.alloc(0));
  }

  #begin(byte: number): void {
    if (OPEN.has(byte)) {
      this.#kind = "container";
      this.#depth = 1;
    } else if (byte === QUOTE) {
      this.#kind = "string";
      this.#isInString = true;
    } else if (SCALAR_START.has(byte)) this.#kind = "scalar";
    else throw this.#failure("the response is not JSON");
  }

  /** Whether a further byte of a value is its last one. */
  #isLast(byte: number): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) {
        this.#isInString = false;
        return this.#kind === "string";
      }
    } else if (byte === QUOTE) this.#isInString = true;
    else if (OPEN.has(byte)) this.#depth += 1;
    else if (CLOSE.has(byte)) {
      this.#depth -= 1;
      return this.#depth === 0;
    }
    return false;
  }

  /** @param last the bytes of the value that are not held yet */
  #take(last: Buffer): unknown {
    this.#kind = "none";
    this.#held.append(last);
    try {
      return parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#held.take()));
    } catch (cause) {
      throw this.#failure("the response is not JSON", cause);
    }
  }

  #failure(problem: string, cause?: unknown): TurnaboutError {
    return new TurnaboutError("target_protocol", `${this.#label}: ${problem}`, { cause });
  }
}
