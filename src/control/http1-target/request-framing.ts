/**
 * What undici cannot write of a request: `OPTIONS *`, trailers, and the header of a request whose content has not begun.
 * Only undici's own text is a string: the bytes of a body are always a Buffer.
 */
import type { Readable } from "node:stream";
import type { TargetDispatchOptions } from "../http2-target/target.ts";

/** undici ends every chunked body with these characters, in one write. */
const LAST_CHUNK = "\r\n0\r\n\r\n";

/** undici does not accept `*` as a path (RFC 9112 §3.2.4): it is given `/`, and its request line is replaced. */
const ROOT_LINE = "OPTIONS / HTTP/1.1\r\n";
const ASTERISK_LINE = "OPTIONS * HTTP/1.1\r\n";

/** undici writes the header of a request with its first content: this stands for it, and is not sent. */
const NO_CONTENT: Buffer = Buffer.from([0]);
const SIZE_OF_NO_CONTENT = "\r\n1\r\n";
/** The end of a header before chunked content, but for the line break that undici writes with each chunk. */
const CHUNKED = "transfer-encoding: chunked\r\n";

/** Content that may be long in coming: it has the header sent before it. */
export interface LateContent extends Readable {
  /** Set when the request begins. */
  framing?: RequestFraming | undefined;
}

export class RequestFraming {
  #trailers: TargetDispatchOptions["trailers"];
  /** The next request line is to be {@link ASTERISK_LINE}. */
  #isAsterisk = false;
  /** `writing`: {@link NO_CONTENT} is being written. `written`: the next chunk's line break has been sent already. */
  #earlyHead: "none" | "writing" | "written" = "none";

  begin(options: TargetDispatchOptions | undefined): void {
    this.#trailers = options?.trailers;
    this.#isAsterisk = isAsterisk(options);
    this.#earlyHead = "none";
  }

  /** Sends the header now. The request's body is chunked, is being read by undici, and nothing of it has been read. */
  writeHead(body: Readable): void {
    if (body.readableFlowing !== true || body.readableLength > 0) return;
    this.#earlyHead = "writing";
    body.emit("data", NO_CONTENT);
    // Not where undici has not written, as its socket has ended.
    if (this.#earlyHead === "writing") this.#earlyHead = "none";
  }

  /** @returns what is to be written instead; undefined: nothing */
  complete(chunk: unknown): unknown {
    if (this.#earlyHead !== "none") return this.#completeEarly(chunk);
    if (chunk === LAST_CHUNK) return lastChunk(this.#trailers?.() ?? {});
    if (!this.#isAsterisk || typeof chunk !== "string") return chunk;
    return this.#requestLine(chunk);
  }

  #completeEarly(chunk: unknown): unknown {
    if (chunk === NO_CONTENT) {
      this.#earlyHead = "written";
      return undefined;
    }
    if (typeof chunk !== "string") return chunk;
    if (this.#earlyHead === "writing") {
      if (chunk === SIZE_OF_NO_CONTENT) return undefined;
      return chunk.endsWith(CHUNKED) ? `${this.#requestLine(chunk)}\r\n` : chunk;
    }
    this.#earlyHead = "none";
    const complete = chunk === LAST_CHUNK ? lastChunk(this.#trailers?.() ?? {}) : chunk;
    return complete.replace(/^\r\n/, "");
  }

  #requestLine(chunk: string): string {
    if (!this.#isAsterisk || !chunk.startsWith(ROOT_LINE)) return chunk;
    this.#isAsterisk = false;
    return ASTERISK_LINE + chunk.slice(ROOT_LINE.length);
  }
}

export function isAsterisk(options: TargetDispatchOptions | undefined): boolean {
  return options?.method === "OPTIONS" && options.path === "*";
}

/** RFC 9112 §7.1.2 */
function lastChunk(trailers: Record<string, string | string[]>): string {
  const lines = Object.entries(trailers).flatMap(([name, value]) =>
    [value].flat().map((item) => `${name}: ${item}\r\n`),
  );
  return `\r\n0\r\n${lines.join("")}\r\n`;
}
