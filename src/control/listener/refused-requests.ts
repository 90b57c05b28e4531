/** Requests that are refused before anything looks at what they are for. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { TurnaboutError } from "../../wire/errors.ts";
import { sendError } from "./error-response.ts";
import { MAX_REQUEST_HEADER_BYTES } from "../limits.ts";
import type { AnyRequest, AnyResponse } from "./messages.ts";

/** RFC 9113 §6.5.2: added to each field's name and value. */
const FIELD_OVERHEAD_BYTES = 32;

/** RFC 9110 §10.1.1: 417. Without a listener node answers it with an empty body. */
export function refuseExpectation(request: AnyRequest, response: AnyResponse): void {
  refuse(request, response, new TurnaboutError("expectation_failed", "Expect is not 100-continue"));
}

/** RFC 9112 §3.2: every HTTP/1.1 request has a Host. */
export function refuseMissingHost(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.httpVersion !== "1.1" || request.headers.host !== undefined) return false;
  response.shouldKeepAlive = false;
  refuse(request, response, new TurnaboutError("bad_request", "HTTP/1.1 without Host"));
  return true;
}

/**
 * Refuses an HTTP/2 request whose header is as large as no HTTP/1.1 request's may be. node's own limit would reset the
 * stream and say nothing, and holds only once the client has seen our SETTINGS.
 */
export function refuseLargeHeader(request: Http2ServerRequest, response: AnyResponse): boolean {
  let bytes = 0;
  for (const [i, text] of request.rawHeaders.entries()) {
    bytes += text.length + (i % 2 === 0 ? FIELD_OVERHEAD_BYTES : 0);
  }
  if (bytes <= MAX_REQUEST_HEADER_BYTES) return false;
  refuse(request, response, new TurnaboutError("headers_too_large", `a header of ${bytes} bytes`));
  return true;
}

function refuse(request: AnyRequest, response: AnyResponse, error: TurnaboutError): void {
  request.on("error", () => {}); // for ever
  response.on("error", () => {}); // for ever
  request.resume();
  sendError(request, response, error);
}
