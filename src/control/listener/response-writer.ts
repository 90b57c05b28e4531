/**
 * Writes a response in the caller's protocol, as nearly as HTTP/1.1 or HTTP/2 can express what the target sent. Fields
 * that the protocol forbids are left out, so that neither node nor the caller refuses the whole message because of one.
 */
import { ServerResponse, STATUS_CODES } from "node:http";
import type { OutgoingHttpHeaders } from "node:http";
import type { Http2ServerResponse, ServerStreamResponseOptions } from "node:http2";
import { http2Fields } from "../../wire/fields/http-fields.ts";
import { MAX_PENDING_INFORMATIONAL_BYTES } from "../limits.ts";
import type { AnyResponse } from "./messages.ts";

type Fields = OutgoingHttpHeaders;

/** RFC 9110 §6.5.1: fields for framing, routing or reading the content. In a trailer section they come too late. */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "host",
  "www-authenticate",
]);

/** Responses whose content, if a target sends any, must not be passed on (RFC 9110 §6.4.1, §15.3.6). */
export function hasNoContent(status: number, method: string | undefined): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

export interface HeadOptions {
  /** HTTP/1.1 only: HTTP/2 has no reason phrase. */
  reason?: string | undefined;
  /** HTTP/2 only: the header section ends the stream, and neither content nor trailers follow. */
  endStream?: boolean | undefined;
  /**
   * HTTP/2 only: trailers may follow. Default true. Where they may, the end of the stream leaves in a frame and a packet of its
   * own. Callers that know the length, as curl 7.88, have reset the stream by then; a thousand such resets look like a flood.
   */
  mayHaveTrailers?: boolean | undefined;
}

/**
 * Sends the header section.
 *
 * @throws Error if the caller's protocol cannot express it, as a status above 599 on HTTP/2
 */
export function writeHead(
  response: AnyResponse,
  status: number,
  headers: Fields,
  { reason, endStream = false, mayHaveTrailers = true }: HeadOptions = {},
): void {
  const fields = withoutForbiddenLength(status, headers);
  // Always with a reason phrase: node keeps one that it has refused, and would refuse the next response because of it.
  if (response instanceof ServerResponse) {
    response.writeHead(status, reasonPhrase(status, reason), orderedForHttp1(fields));
    return;
  }
  writeHttp2Head(response, status, fields, { endStream, waitForTrailers: mayHaveTrailers && !endStream });
}

/** Bypasses the response's own writeHead(), which keeps fields that it has refused. */
function writeHttp2Head(
  { stream }: Http2ServerResponse,
  status: number,
  fields: Fields,
  options: ServerStreamResponseOptions,
): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ...http2Fields(fields), ":status": status }, options);
}

/**
 * Sends a 1xx response other than 100 and 101 (RFC 9110 §15.2), unless the caller speaks HTTP/1.0 or does not read.
 *
 * @throws Error if the caller's protocol cannot express it
 */
export function writeInformational(response: AnyResponse, status: number, headers: Fields): void {
  if (status < 102 || response.headersSent || !response.writable) return;
  const { "content-length": _length, ...fields } = headers;
  if (response instanceof ServerResponse) {
    const { httpVersionMajor: major, httpVersionMinor: minor } = response.req;
    if (major < 1 || (major === 1 && minor < 1)) return;
    if (response.writableLength <= MAX_PENDING_INFORMATIONAL_BYTES)
      response.writeInformation(status, fieldPairs(fields));
    return;
  }
  const { stream } = response;
  if (stream.destroyed || stream.closed) return;
  // Header blocks have no flow control: those that the caller does not read accumulate at the connection's socket.
  if ((stream.session?.socket.writableLength ?? 0) > MAX_PENDING_INFORMATIONAL_BYTES) return;
  stream.additionalHeaders({ ...http2Fields(fields), ":status": status });
}

/** One pair for each value: node would join the values of a name, which Set-Cookie does not allow (RFC 9110 §5.3). */
function fieldPairs(fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().flatMap((item) => (item === undefined ? [] : [name, String(item)])),
  );
}

/** Adds the trailer section, which is sent with the end of the response. @throws Error if the caller's protocol cannot express it */
export function writeTrailers(response: AnyResponse, trailers: Fields): void {
  const fields: Fields = {};
  for (const [name, value] of Object.entries(http2Fields(trailers))) {
    if (!NOT_IN_TRAILERS.has(name)) fields[name] = value;
  }
  if (response instanceof ServerResponse) response.addTrailers(fields);
  else response.addTrailers(fields);
}

/** A 204 has no Content-Length (RFC 9110 §8.6), and nghttp2 callers refuse one; the content of a 205 is empty. */
export function withoutForbiddenLength(status: number, headers: Fields): Fields {
  if ((status !== 204 && status !== 205) || headers["content-length"] === undefined) return headers;
  const { "content-length": _length, ...fields } = headers;
  return status === 205 ? { ...fields, "content-length": "0" } : fields;
}

/**
 * Moves Content-Length to the end: node re-encodes a Content-Disposition that follows it, and then refuses every byte
 * above 0x7f (nodejs/node#58240).
 */
function orderedForHttp1(headers: Fields): Fields {
  const { "content-length": length, ...fields } = headers;
  return length === undefined ? headers : { ...fields, "content-length": length };
}

function reasonPhrase(status: number, reason: string | undefined): string {
  const isSendable = reason !== undefined && !/[^\t\x20-\x7e\x80-\xff]/.test(reason);
  return isSendable ? reason : (STATUS_CODES[status] ?? "");
}
