/**
 * Bytes of a target on their way to undici's parser, which refuses two things that other clients take: a `100 Continue`
 * that nobody asked for (RFC 9110 §15.2: a client MUST be able to parse it) goes, and lines of a header section that end
 * with LF alone (RFC 9112 §2.2: a recipient MAY take them) get their CR. No byte of content is touched.
 */
import { MAX_INFORMATIONAL_RESPONSES } from "./limits.ts";

const LF = 0x0a;
const CR = 0x0d;
const CRLF: Buffer = Buffer.from("\r\n");
const NOTHING: Buffer = Buffer.alloc(0);

/** `HTTP/1.1 100` */
const STATUS_BYTES = 12;

type State =
  /** Of a response that is expected, not yet so much that its status is known. */
  | "start"
  /** In a header section: dropped, passed with another one behind it, passed as the last one. */
  | "continue"
  | "informational"
  | "final"
  /** Content, or bytes that nobody has asked for: undici's to judge. */
  | "through";

export class ResponseHeads {
  #state: State = "through";
  /** Less than {@link STATUS_BYTES}. */
  #held = NOTHING;
  #continues = 0;
  /** The last byte of the piece before was CR. */
  #afterCr = false;
  #lineIsEmpty = true;

  /** A request starts: what comes next is a header section. */
  expect(): void {
    this.#state = "start";
    this.#held = NOTHING;
    this.#continues = 0;
  }

  /** @returns what of the bytes, and of those before, the parser gets now */
  feed(chunk: Buffer): Buffer {
    if (this.#current() === "through") return chunk;
    const out: Buffer[] = [];
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    while (rest.length > 0) {
      const state: State = this.#current();
      if (state === "through") {
        out.push(rest);
        break;
      }
      if (state === "start" && !this.#begin(rest)) {
        this.#held = rest;
        break;
      }
      rest = this.#section(rest, out);
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
    if (this.#state === "continue") {
      this.#continues += 1;
      if (this.#continues > MAX_INFORMATIONAL_RESPONSES) this.#state = "through"; // undici refuses it
    }
    this.#afterCr = false;
    this.#lineIsEmpty = true;
    return true;
  }

  /** Takes lines up to the end of the header section. @returns what is behind it */
  #section(bytes: Buffer, out: Buffer[]): Buffer {
    if (this.#current() === "through") return bytes;
    const isPassed = this.#state !== "continue";
    let from = 0;
    for (;;) {
      const lf = bytes.indexOf(LF, from);
      const line = bytes.subarray(from, lf < 0 ? bytes.length : lf);
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
      if (this.#lineIsEmpty) break;
      this.#lineIsEmpty = true;
    }
    this.#state = this.#state === "final" ? "through" : "start";
    return bytes.subarray(from);
  }
}

function stateOf(status: string | undefined): State {
  if (status === undefined) return "through"; // undici says what is wrong with it
  if (status === "100") return "continue";
  if (status === "101" || !status.startsWith("1")) return "final";
  return "informational";
}
