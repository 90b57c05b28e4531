/**
 * Percent-encodes bytes beyond ASCII in the request-target of a connection's first request. RFC 9112 §3.2 forbids them
 * and node's parser refuses them, but scripts and `curl` send paths as typed, and nginx and Go accept them. Encoded
 * (RFC 3986 §2.1) it is the same path. Later requests of the connection go straight to the parser.
 */

import { METHODS } from "node:http";

const MAX_METHOD_LENGTH = Math.max(...METHODS.map((method) => method.length));
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const FIRST_BEYOND_ASCII = 0x80;

/** The first request line of an HTTP/1.1 connection, in however many pieces it comes: each byte is looked at once. */
export class RequestLine {
  /** Where it begins, behind empty lines (RFC 9112 §2.2). */
  #begin = 0;
  /** No line end was found before this. */
  #searched = 0;

  /**
   * Replaces every byte beyond ASCII in the request-target by `%XX`. Nothing else changes, so that the message cannot be
   * read in another way.
   *
   * @param seen all bytes so far; those of the last call have not changed
   * @param maxBytes longest request line; a longer one is left to the parser
   * @returns undefined while the request line is incomplete but may still be valid, so that the result does not depend on
   * how the bytes are split
   */
  escape(seen: Buffer, maxBytes: number): Buffer | undefined {
    while (seen[this.#begin] === CARRIAGE_RETURN || seen[this.#begin] === LINE_FEED) this.#begin += 1;
    const lineEnd = seen.indexOf(LINE_FEED, Math.max(this.#begin, this.#searched));
    this.#searched = seen.length;
    if (lineEnd === -1) {
      return seen.length > maxBytes || !beginsWithMethod(seen, this.#begin) ? seen : undefined;
    }
    return escaped(seen, lineEnd);
  }
}

function escaped(seen: Buffer, lineEnd: number): Buffer {
  const line = seen.subarray(0, lineEnd);
  if (!line.some((byte) => byte >= FIRST_BEYOND_ASCII)) return seen;
  const start = line.indexOf(SPACE);
  const end = line.lastIndexOf(SPACE);
  if (start === -1 || end <= start) return seen;
  const target = line.subarray(start, end).toString("latin1");
  const text = target.replaceAll(/[\u0080-\u00FF]/g, (byte) => {
    return `%${byte.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return Buffer.concat([seen.subarray(0, start), Buffer.from(text, "latin1"), seen.subarray(end)]);
}

/** The first word is, or may become, a method that the parser knows: garbage is refused without waiting for more. */
function beginsWithMethod(seen: Buffer, begin: number): boolean {
  const [method = "", rest] = seen.toString("latin1", begin, begin + MAX_METHOD_LENGTH + 1).split(" ", 2);
  return METHODS.some((known) => (rest === undefined ? known.startsWith(method) : known === method));
}
