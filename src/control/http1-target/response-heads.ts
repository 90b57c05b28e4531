/**
 * Adapts a target's bytes for undici's parser, which refuses what other clients accept:
 *
 * - an unexpected `100 Continue` is removed (RFC 9110 §15.2: a client MUST be able to parse it);
 * - header lines that end with LF alone get their CR (RFC 9112 §2.2: a recipient MAY accept them);
 * - fields of an informational response or of a trailer section that would frame the message or end the connection are
 *   removed: they have no meaning there (RFC 9110 §6.5.1, §15.2), but the parser obeys them.
 *
 * Content passes unchanged.
 */
import { ChunkedContent } from "./chunked-content.ts";
import { MAX_INFORMATIONAL_BYTES, MAX_INFORMATIONAL_RESPONSES } from "../limits.ts";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const CRLF: Buffer = Buffer.from("\r\n");
const NOTHING: Buffer = Buffer.alloc(0);

/** `HTTP/1.1 100` */
const STATUS_BYTES = 12;

/** Of a status line: of a longer one the rest of the reason phrase is ignored. */
const MAX_STATUS_LINE_BYTES = 1_024;

/** Of a `Transfer-Encoding` line: a longer one is not plain `chunked`. */
const MAX_CODING_LINE_BYTES = 256;

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
  /** The start of a status line, or of a line whose name is not known yet. */
  #held = NOTHING;
  /** Informational responses since {@link expect}, and their bytes. */
  #informational = 0;
  #informationalBytes = 0;
  /** The last byte of the previous piece was CR. */
  #afterCr = false;
  #lineIsEmpty = true;
  #isLineStart = true;
  /** The current line is removed, with its continuation lines. */
  #isDropped = false;
  #hasContent = false;
  #chunks: ChunkedContent | undefined;
  #statusLine: string | undefined;
  #hasBegun = false;

  /** A request starts: the next bytes are a header section. */
  expect(): void {
    this.#state = "start";
    this.#held = NOTHING;
    this.#informational = 0;
    this.#informationalBytes = 0;
    this.#statusLine = undefined;
    this.#hasBegun = false;
  }

  /** A byte has come since {@link expect}. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Reason phrase of the final response as latin1: undici decodes it as UTF-8. */
  get reason(): string | undefined {
    return /^HTTP\/1\.[01] \d{3} ?(.*)$/s.exec(this.#statusLine ?? "")?.[1];
  }

  /** @returns the bytes that the parser gets now, of these and of those held back */
  feed(chunk: Buffer): Buffer {
    this.#hasBegun = true;
    if (this.#current() === "through") return chunk;
    const out: Buffer[] = [];
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    while (rest.length > 0) {
      const state: State = this.#current();
      if (state === "flooded") break;
      if (state === "through") {
        out.push(rest);
        break;
      }
      if (state === "start" && !this.#begin(rest)) {
        this.#held = rest;
        break;
      }
      const before = rest.length;
      const isInterim = this.#current() === "continue" || this.#current() === "informational";
      rest = this.#current() === "chunks" ? this.#content(rest, out) : this.#section(rest, out);
      if (isInterim) this.#countInterim(before - rest.length - this.#held.length, out);
    }
    return out.length === 1 ? (out[0] ?? NOTHING) : Buffer.concat(out);
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
    this.#afterCr = false;
    this.#lineIsEmpty = true;
    this.#isLineStart = true;
    this.#isDropped = false;
  }

  /** Takes lines up to the end of the header section. @returns the bytes after it */
  #section(bytes: Buffer, out: Buffer[]): Buffer {
    if (this.#current() === "through") return bytes;
    let from = 0;
    for (;;) {
      const lf = bytes.indexOf(LF, from);
      const line = bytes.subarray(from, lf < 0 ? bytes.length : lf);
      if (this.#isLineStart && !this.#startLine(line, lf >= 0)) {
        this.#held = line;
        return NOTHING;
      }
      const isPassed = this.#state !== "continue" && !this.#isDropped;
      const hasCr = line.length === 0 ? this.#afterCr : line[line.length - 1] === CR;
      const text = hasCr && line.length > 0 ? line.length - 1 : line.length;
      if (text > 0) this.#lineIsEmpty = false;
      if (lf < 0) {
        if (isPassed) out.push(line);
        this.#afterCr = hasCr;
        return NOTHING;
      }
      if (isPassed) {
        if (hasCr) out.push(bytes.subarray(from, lf + 1));
        else out.push(line, CRLF);
      }
      from = lf + 1;
      this.#afterCr = false;
      this.#isLineStart = true;
      if (this.#lineIsEmpty) break;
      this.#lineIsEmpty = true;
    }
    this.#endSection();
    return bytes.subarray(from);
  }

  #endSection(): void {
    if (this.#state === "final") this.#state = this.#chunks === undefined ? "through" : "chunks";
    else this.#state = this.#state === "trailers" ? "through" : "start";
  }

  /** @returns false while too little of the line has come */
  #startLine(line: Buffer, isWhole: boolean): boolean {
    if (this.#state === "final") {
      if (!isWhole && !this.#mayPassInPieces(line)) return false;
      this.#noteFinal(line);
    } else {
      if (!isWhole && line.length < NAME_BYTES && nameOf(line) === undefined) return false;
      const isContinued = line[0] === SPACE || line[0] === TAB;
      if (!isContinued) this.#isDropped = FRAMING.has(nameOf(line) ?? "");
    }
    this.#isLineStart = false;
    return true;
  }

  /** The line of the final header is not needed whole. */
  #mayPassInPieces(line: Buffer): boolean {
    if (this.#statusLine === "") return line.length >= MAX_STATUS_LINE_BYTES;
    const name = nameOf(line);
    if (name === CODING) return line.length >= MAX_CODING_LINE_BYTES;
    return name !== undefined || line.length >= NAME_BYTES;
  }

  #noteFinal(line: Buffer): void {
    if (this.#statusLine === "") {
      const text = line.toString("latin1", 0, MAX_STATUS_LINE_BYTES);
      this.#statusLine = text.endsWith("\r") ? text.slice(0, -1) : text;
    } else if (
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
