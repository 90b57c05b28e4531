/** Error responses to callers, on HTTP/1.1, HTTP/2 and raw sockets. */
import { ServerResponse, STATUS_CODES } from "node:http";
import { constants } from "node:http2";
import type { Duplex } from "node:stream";
import { PROXY_NAME } from "../../wire/protocol.ts";
import { resetStream, resetStreamWith } from "../../wire/streams/end-stream.ts";
import { CodedError, TurnaboutError } from "../../wire/errors.ts";
import { errorResponse } from "../../wire/error-response.ts";
import type { ErrorResponse } from "../../wire/error-response.ts";
import { abort } from "../../wire/streams/splice.ts";
import { REFUSAL_LINGER_MS } from "../limits.ts";
import { requestIdOf } from "../trusted-proxies/request-id.ts";
import type { AnyRequest, AnyResponse } from "./messages.ts";
import { writeHead } from "./response-writer.ts";

/**
 * The role in which a request is refused: a missing credential is 401 from a `server` and 407 from a `proxy`, because
 * clients send proxy credentials only after a 407 (RFC 9110 §11.7.1).
 */
export type Refuser = "server" | "proxy";

/** Of the credentials that a refused caller needs: ours, and no target's. */
export const REALM = "turnabout";

/** An error without a code of ours becomes `internal`; its message is only logged. @param requestId default: a new one */
export function errorResponseFor(
  error: unknown,
  refuser: Refuser = "server",
  requestId?: string,
): ErrorResponse {
  const known = error instanceof CodedError ? error : new TurnaboutError("internal", "unexpected error");
  const response = errorResponse(known, PROXY_NAME, requestId);
  if (known.code !== "unauthenticated") return response;
  const headers = { ...response.headers, ...challenge(refuser) };
  return { ...response, headers, status: refuser === "proxy" ? 407 : response.status };
}

/** A proxy offers Basic, which `curl -U` and HTTP libraries support. */
function challenge(refuser: Refuser): Record<string, string> {
  return refuser === "proxy"
    ? { "proxy-authenticate": `Basic realm="${REALM}"` }
    : { "www-authenticate": `Bearer realm="${REALM}"` };
}

/**
 * Sends the error if no header has been sent yet; otherwise breaks the response, so that it is not taken for complete.
 *
 * @returns the id of the request, for the log
 */
export function sendError(
  request: AnyRequest,
  response: AnyResponse,
  error: unknown,
  refuser: Refuser = "server",
): string {
  const { status, headers, body, requestId } = errorResponseFor(error, refuser, requestIdOf(request));
  if (response.headersSent) {
    breakResponse(request, response);
    return requestId;
  }
  writeHead(response, status, headers);
  response.end(body);
  return requestId;
}

/**
 * RST_STREAM on HTTP/2, a TCP reset on HTTP/1.1, so that a close-delimited body is seen to be incomplete, too.
 *
 * @param code HTTP/2 error code (RFC 9113 §7). Default INTERNAL_ERROR
 */
export function breakResponse(request: AnyRequest, response: AnyResponse, code?: number): void {
  if (!(response instanceof ServerResponse)) {
    if (code === undefined || code === constants.NGHTTP2_INTERNAL_ERROR) {
      resetStream(response.stream, new Error("the response cannot be completed"));
    } else resetStreamWith(response.stream, code);
    return;
  }
  const { socket } = request;
  if (socket.destroyed) return;
  abort(socket); // a reset, because a close-delimited body would look complete after a FIN
  response.destroy();
}

/** The error as the bytes of an HTTP/1.1 response, for the socket of an upgrade or CONNECT that is refused. */
export function rawErrorResponse(error: unknown, refuser: Refuser = "server", requestId?: string): string {
  const { status, headers, body } = errorResponseFor(error, refuser, requestId);
  const lines = Object.entries({ ...headers, connection: "close" }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines.join("")}\r\n${body}`;
}

/** Sends the error on a raw socket and closes it, by force if the peer does not read. */
export function refuseRaw(
  socket: Duplex,
  error: unknown,
  refuser: Refuser = "server",
  requestId?: string,
): void {
  if (socket.destroyed) return;
  socket.on("error", () => {}); // permanently
  closeLater(socket);
  socket.resume(); // unread bytes would turn our close into a reset, and the response would be lost
  socket.end(rawErrorResponse(error, refuser, requestId));
}

/** Closes a raw socket by force if its peer does not close it soon behind our end. */
export function closeLater(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}
