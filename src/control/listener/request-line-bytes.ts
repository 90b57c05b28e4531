/**
 * Bytes beyond ASCII in the request-target of a connection's first request. RFC 9112 §3.2 has no such bytes, and node's
 * parser refuses them; scripts and `curl` send a path as it was typed, and nginx and Go take it. Percent-encoded
 * (RFC 3986 §2.1) it is the same path. Only the first request can be helped: what follows belongs to the parser.
 */

import { METHODS } from "node:http";

const LONGEST_METHOD = Math.max(...METHODS.map((method) => method.length));
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const FIRST_BEYOND_ASCII = 0x80;

/**
 * The first bytes of an HTTP/1.1 connection, with every byte of the request-target that is beyond ASCII as `%XX`.
 * Nothing else changes, so no other reading of the message becomes possible. Empty lines before the request line are
 * passed over (RFC 9112 §2.2).
 *
 * @param maxBytes of a request line; a longer one is left to the parser
 * @returns undefined if the request line is not complete, and may still become one: more has to be read. So the result
 * does not depend on the pieces in which the bytes arrive
 */
export function escapeRequestTarget(seen: Buffer, maxBytes: number): Buffer | undefined {
  let begin = 0;
  while (seen[begin] === CARRIAGE_RETURN || seen[begin] === LINE_FEED) begin += 1;
  const lineEnd = seen.indexOf(LINE_FEED, begin);
  if (lineEnd === -1) return seen.length > maxBytes || !beginsWithMethod(seen, begin) ? seen : undefined;
  const line = seen.subarray(0, lineEnd);
  if (!line.some((byte) => byte >= FIRST_BEYOND_ASCII)) return seen;
  const start = line.indexOf(SPACE);
  const end = line.lastIndexOf(SPACE);
  if (start === -1 || end <= start) return seen;
  const target = line.subarray(start, end).toString("latin1");
  const escaped = target.replaceAll(/[\u0080-\u00FF]/g, (byte) => {
    return `%${byte.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return Buffer.concat([seen.subarray(0, start), Buffer.from(escaped, "latin1"), seen.subarray(end)]);
}

/** A method that the parser knows, or the beginning of one: garbage is refused without waiting for its end. */
function beginsWithMethod(seen: Buffer, begin: number): boolean {
  const [method = "", rest] = seen.toString("latin1", begin, begin + LONGEST_METHOD + 1).split(" ", 2);
  return METHODS.some((known) => (rest === undefined ? known.startsWith(method) : known === method));
}
