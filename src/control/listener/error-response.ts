/** An error as an HTTP answer: fixed text, our code, Proxy-Status and a request id; nothing internal. */
import { ServerResponse, STATUS_CODES } from "node:http";
import { constants } from "node:http2";
import type { Duplex } from "node:stream";
import { resetStream, resetStreamWith } from "../../wire/streams/end-stream.ts";
import { CodedError, TurnaboutError } from "../../wire/errors.ts";
import { errorResponse } from "../../wire/error-response.ts";
import { abort } from "../../wire/streams/splice.ts";
import { REFUSAL_LINGER_MS } from "../limits.ts";
import type { AnyRequest, AnyResponse } from "./messages.ts";
import { writeHead } from "./response-writer.ts";

export interface ErrorAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
  requestId: string;
}

/**
 * Who refuses: a `server` says 401, a `proxy` 407, because clients send the credential of a proxy only after that
 * (RFC 9110 §11.7.1).
 */
export type Refuser = "server" | "proxy";

/** Anything that is not ours is `internal`: its message stays in the log. */
export function errorAnswer(error: unknown, refuser: Refuser = "server"): ErrorAnswer {
  const known = error instanceof CodedError ? error : new TurnaboutError("internal", "unexpected error");
  const response = errorResponse(known);
  if (known.code !== "unauthenticated") return response;
  const headers = { ...response.headers, ...challenge(refuser) };
  return { ...response, headers, status: refuser === "proxy" ? 407 : response.status };
}

/** Basic, because that is what `curl -U` and library proxies can answer with. */
function challenge(refuser: Refuser): Record<string, string> {
  return refuser === "proxy"
    ? { "proxy-authenticate": 'Basic realm="turnabout"' }
    : { "www-authenticate": 'Bearer realm="turnabout"' };
}

/** Answers if nothing has been sent yet; otherwise breaks the response so that it cannot be taken for complete. */
export function sendError(
  request: AnyRequest,
  response: AnyResponse,
  error: unknown,
  refuser: Refuser = "server",
): string {
  const answer = errorAnswer(error, refuser);
  if (response.headersSent) {
    breakResponse(request, response);
    return answer.requestId;
  }
  writeHead(response, answer.status, answer.headers);
  response.end(answer.body);
  return answer.requestId;
}

/**
 * RST_STREAM on HTTP/2, RST or a cut chunked body on HTTP/1.1: also a close-delimited body is seen to be broken.
 *
 * @param code of RFC 9113 §7, for HTTP/2. Default INTERNAL_ERROR
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

/** The same for a raw socket of an HTTP/1.1 upgrade or CONNECT that never became one. */
export function rawErrorAnswer(error: unknown, refuser: Refuser = "server"): string {
  const { status, headers, body } = errorAnswer(error, refuser);
  const lines = Object.entries({ ...headers, connection: "close" }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines.join("")}\r\n${body}`;
}

/** Sends the error on a raw socket and closes it, by force if the peer does not read. */
export function refuseRaw(socket: Duplex, error: unknown, refuser: Refuser = "server"): void {
  if (socket.destroyed) return;
  socket.on("error", () => {}); // permanently
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.resume(); // unread bytes would turn our close into a reset, and the response would be lost
  socket.end(rawErrorAnswer(error, refuser));
}
