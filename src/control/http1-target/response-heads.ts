/**
 * Adapts a target's bytes for undici's parser, which refuses what other clients accept:
 *
 * - an unexpected `100 Continue` is removed (RFC 9110 §15.2: a client MUST be able to parse it);
 * - header lines that end with LF alone get their CR (RFC 9112 §2.2: a recipient MAY accept them);
 * - fields of an informational response or of a trailer section that would frame the message or end the connection are
 *   removed: they have no meaning there (RFC 9110 §6.5.1, §15.2), but the parser obeys them.
 *
 * Content passes unchanged. Lines pass whole: undici joins what it has of a value with each piece that comes.
 */
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { ChunkedContent } from "./chunked-content.ts";
import {
  MAX_INFORMATIONAL_BYTES,
  MAX_INFORMATIONAL_RESPONSES,
  MAX_RESPONSE_HEADER_BYTES,
} from "../limits.ts";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const CRLF: Buffer = Buffer.from("\r\n");
const HEAD_END: Buffer = Buffer.from("\r\n\r\n");
const NOTHING: Buffer = Buffer.alloc(0);

/** `HTTP/1.1 100` */
const STATUS_BYTES = 12;

/** Of a status line: of a longer one the rest of the reason phrase is ignored. */
const MAX_STATUS_LINE_BYTES = 1_024;

const CODING = "transfer-encoding";

const FRAMING: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  CODING,
  "upgrade",
]);

/** undici ends the connection at an interim response that it does not support. */
const REFUSED_BY_UNDICI: Buffer = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

/** Enough of a line to tell whether its name is in {@link FRAMING}. */
const NAME_BYTES = 24;

type State =
  /** A response is expected, and its status is not known yet. */
  | "start"
  /** In a header section: one to drop, one that others follow, the last one. */
  | "continue"
  | "informational"
  | "final"
  /** In chunked content, and in the trailer section after it. */
  | "chunks"
  | "trailers"
  /** Content, or unexpected bytes, for undici to judge. */
  | "through"
  /** The target does not stop sending informational responses. */
  | "flooded";

export class ResponseHeads {
  #state: State = "through";
  /** The start of a status line, or of another line. */
  readonly #held = new GrowingBuffer();
  /** Informational responses since {@link expect}, and their bytes. */
  #informational = 0;
  #informationalBytes = 0;
  /** The current line is removed, with its continuation lines. */
  #isDropped = false;
  #hasContent = false;
  #chunks: ChunkedContent | undefined;
  #statusLine: string | undefined;
  #bytes = 0;

  /** A request starts: the next bytes are a header section. */
  expect(): void {
    this.#state = "start";
    this.#held.take();
    this.#informational = 0;
    this.#informationalBytes = 0;
    this.#statusLine = undefined;
    this.#bytes = 0;
  }

  /** A byte has come since {@link expect}. */
  get hasBegun(): boolean {
    return this.#bytes > 0;
  }

  /** What has come since {@link expect}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Reason phrase of the final response as latin1: undici decodes it as UTF-8. */
  get reason(): string | undefined {
    return /^HTTP\/1\.[01] \d{3} ?(.*)$/s.exec(this.#statusLine ?? "")?.[1];
  }

  /** The final response is one of HTTP/1.0. */
  get isHttp10(): boolean {
    return this.#statusLine?.startsWith("HTTP/1.0") === true;
  }

  /** @returns the bytes that the parser gets now, of these and of those held back */
  feed(chunk: Buffer): Buffer {
    this.#bytes += chunk.length;
    if (this.#current() === "through") return chunk;
    if (this.#current() === "start" && this.#held.length === 0 && this.#passWhole(chunk)) return chunk;
    const out: Buffer[] = [];
    let rest = this.#joined(chunk);
    while (rest.length > 0) {
      const state: State = this.#current();
      if (state === "flooded") break;
      if (state === "through") {
        out.push(rest);
        break;
      }
      if (state === "start" && !this.#begin(rest)) {
        this.#held.append(rest);
        break;
      }
      const before = rest.length;
      const isInterim = this.#current() === "continue" || this.#current() === "informational";
      rest = this.#current() === "chunks" ? this.#content(rest, out) : this.#section(rest, out);
      if (isInterim) this.#countInterim(before - rest.length - this.#held.length, out);
    }
    return out.length === 1 ? (out[0] ?? NOTHING) : Buffer.concat(out);
  }

  /** A final header section that has come whole and needs no change, as most: one look, in place of one for each line. */
  #passWhole(chunk: Buffer): boolean {
    const end = chunk.indexOf(HEAD_END);
    if (end < 0 || end > MAX_RESPONSE_HEADER_BYTES) return false;
    const head = chunk.toString("latin1", 0, end);
    const isPlain = /^HTTP\/1\.[01] [2-9]\d\d/.test(head) && !/[^\r]\n|transfer-encoding/i.test(head);
    if (!isPlain) return false;
    const line = head.indexOf("\r\n");
    // Not a slice of the text, which would keep all of it.
    this.#statusLine = chunk.toString("latin1", 0, Math.min(line < 0 ? end : line, MAX_STATUS_LINE_BYTES));
    this.#chunks = undefined;
    this.#state = "through";
    return true;
  }

  /** With the bytes that were held back; nothing while they are still no whole line. */
  #joined(chunk: Buffer): Buffer {
    if (this.#held.length === 0) return chunk;
    this.#held.append(chunk);
    const isUnfinished = this.#state !== "start" && !chunk.includes(LF);
    return isUnfinished && this.#held.length <= MAX_RESPONSE_HEADER_BYTES ? NOTHING : this.#held.take();
  }

  #current(): State {
    return this.#state;
  }

  /** @returns false while the status is not known */
  #begin(bytes: Buffer): boolean {
    const start = bytes.toString("latin1", 0, STATUS_BYTES);
    if (start.length < STATUS_BYTES && "HTTP/1.".startsWith(start.slice(0, 7))) return false;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(start)?.[1];
    this.#state = stateOf(status);
    if (this.#state === "continue" || this.#state === "informational") this.#informational += 1;
    this.#hasContent = status !== "101" && status !== "204" && status !== "304";
    this.#chunks = undefined;
    this.#statusLine = this.#state === "final" ? "" : undefined;
    this.#startSection();
    return true;
  }

  #countInterim(bytes: number, out: Buffer[]): void {
    this.#informationalBytes += bytes;
    const isFlood =
      this.#informational > MAX_INFORMATIONAL_RESPONSES || this.#informationalBytes > MAX_INFORMATIONAL_BYTES;
    if (!isFlood) return;
    this.#state = "flooded";
    out.push(REFUSED_BY_UNDICI);
  }

  #startSection(): void {
    this.#isDropped = false;
  }

  /** Takes lines up to the end of the header section. @returns the bytes after it */
  #section(bytes: Buffer, out: Buffer[]): Buffer {
    if (this.#current() === "through") return bytes;
    let from = 0;
    for (;;) {
      const lf = bytes.indexOf(LF, from);
      if (lf < 0) return this.#hold(bytes.subarray(from), out);
      const hasCr = lf > from && bytes[lf - 1] === CR;
      const line = bytes.subarray(from, hasCr ? lf - 1 : lf);
      this.#noteLine(line);
      if (this.#state !== "continue" && !this.#isDropped) {
        if (hasCr) out.push(bytes.subarray(from, lf + 1));
        else out.push(line, CRLF);
      }
      from = lf + 1;
      if (line.length === 0) break;
    }
    this.#endSection();
    return bytes.subarray(from);
  }

  #hold(line: Buffer, out: Buffer[]): Buffer {
    if (line.length <= MAX_RESPONSE_HEADER_BYTES) this.#held.append(line);
    else {
      this.#state = "through"; // undici refuses it
      out.push(line);
    }
    return NOTHING;
  }

  #endSection(): void {
    if (this.#state === "final") this.#state = this.#chunks === undefined ? "through" : "chunks";
    else this.#state = this.#state === "trailers" ? "through" : "start";
  }

  #noteLine(line: Buffer): void {
    if (this.#state === "final") return this.#noteFinal(line);
    const isContinued = line[0] === SPACE || line[0] === TAB;
    if (!isContinued) this.#isDropped = FRAMING.has(nameOf(line) ?? "");
  }

  #noteFinal(line: Buffer): void {
    if (this.#statusLine === "") this.#statusLine = line.toString("latin1", 0, MAX_STATUS_LINE_BYTES);
    else if (
      this.#hasContent &&
      nameOf(line) === CODING &&
      /^[^:]*:\s*chunked\s*$/i.test(line.toString("latin1"))
    ) {
      this.#chunks = new ChunkedContent();
    }
  }

  /** @returns the bytes after the last chunk */
  #content(bytes: Buffer, out: Buffer[]): Buffer {
    const end = this.#chunks?.feed(bytes) ?? "malformed";
    if (end === "malformed") this.#state = "through";
    if (typeof end === "string") {
      out.push(bytes);
      return NOTHING;
    }
    out.push(bytes.subarray(0, end));
    this.#state = "trailers";
    this.#startSection();
    return bytes.subarray(end);
  }
}

/** In lower case; undefined while there is no colon. */
function nameOf(line: Buffer): string | undefined {
  const colon = line.subarray(0, NAME_BYTES).indexOf(":");
  return colon < 0 ? undefined : line.toString("latin1", 0, colon).trimEnd().toLowerCase();
}

function stateOf(status: string | undefined): State {
  if (status === undefined) return "through"; // undici reports the error
  if (status === "100") return "continue";
  if (status === "101" || !status.startsWith("1")) return "final";
  return "informational";
}
