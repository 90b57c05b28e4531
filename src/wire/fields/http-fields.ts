/** Header fields that belong to one hop and must not cross to the next (RFC 9110 §7.6.1, RFC 9113 §8.2.2). */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name);
}

/** Names that a `Connection` field nominates, in lower case. */
export function connectionNominates(value: string | undefined): ReadonlySet<string> {
  if (value === undefined) return NONE;
  return new Set(value.split(",").map((name) => name.trim().toLowerCase()));
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Whether `Transfer-Encoding` is absent, `identity` or `chunked`. Any other coding belongs to the hop (RFC 9112 §6.1, §7):
 * content in it must not be forwarded as if it were the target's representation.
 */
export function isPlainlyChunked(value: string | readonly string[] | undefined): boolean {
  return value === undefined || /^(?:chunked|identity)$/i.test([value].flat().join().trim());
}

/** A field value in pieces, in order: quoted strings (RFC 9110 §5.6.4), and the text between them. */
function quotedPieces(value: string): { text: string; isQuoted: boolean }[] {
  const pieces: { text: string; isQuoted: boolean }[] = [];
  const add = (text: string, isQuoted: boolean): void => {
    if (text !== "") pieces.push({ text, isQuoted });
  };
  let start = 0;
  for (;;) {
    const open = value.indexOf('"', start);
    const end = open < 0 ? -1 : closingQuote(value, open + 1);
    if (end < 0) break; // no complete quoted string follows
    add(value.slice(start, open), false);
    add(value.slice(open, end + 1), true);
    start = end + 1;
  }
  add(value.slice(start), false);
  return pieces;
}

function closingQuote(value: string, from: number): number {
  for (let i = from; i < value.length; i += 1) {
    if (value[i] === "\\") i += 1;
    else if (value[i] === '"') return i;
  }
  return -1;
}

/** Members of a list (RFC 9110 §5.6.1), without white space around them and without empty ones. */
export function listMembers(value: string): string[] {
  const members = [""];
  for (const { text, isQuoted } of quotedPieces(value)) {
    const [first = "", ...others] = isQuoted ? [text] : text.split(",");
    members.push(`${members.pop() ?? ""}${first}`, ...others);
  }
  return members.map((member) => member.trim()).filter((member) => member !== "");
}

/** End-to-end fields of a message, without pseudo-header fields. */
export function endToEndHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const nominated = connectionNominates(headers.connection);
  const result: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":") || HOP_BY_HOP.has(name) || nominated.has(name)) continue;
    result[name] = value;
  }
  return result;
}

/** RFC 9113 §8.2.2: a message that has one of these is malformed. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Fields that HTTP/2 allows: no connection-specific ones (RFC 9113 §8.2.2), only names that are tokens, and values without
 * surrounding whitespace, for which nghttp2 peers would reset the stream (RFC 9113 §8.2.1).
 */
export function http2Fields(headers: OutgoingHttpHeaders): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || CONNECTION_SPECIFIC.has(name) || !TOKEN.test(name)) continue;
    fields[name] = Array.isArray(value) ? value.map(withoutWhitespace) : withoutWhitespace(String(value));
  }
  return fields;
}

function withoutWhitespace(value: string): string {
  return value.replace(/^[\t ]+/, "").replace(/[\t ]+$/, "");
}

/** Number of fields of an HTTP/2 header list: each value of a name counts. */
export function headerListPairs(headers: Record<string, string | string[] | number | undefined>): number {
  return Object.values(headers).reduce<number>(
    (sum, value) => sum + (Array.isArray(value) ? value.length : 1),
    0,
  );
}

/** Size of the fields in an HTTP/2 header list (RFC 9113 §6.5.2 adds 32 bytes for each). */
export function headerListBytes(headers: Record<string, string | string[] | number | undefined>): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    for (const item of Array.isArray(value) ? value : [String(value ?? "")]) {
      bytes += name.length + item.length + 32;
    }
  }
  return bytes;
}
