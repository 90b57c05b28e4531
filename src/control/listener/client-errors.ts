/**
 * Responses to invalid HTTP/1.1 from callers: 400, 408, 413 or 431, and the end of the connection. Never inside a
 * response that is under way (RFC 9112 §9.3.2): that response is completed first, or, where its own request is the
 * invalid one, cut so that it is not taken for complete.
 */
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../wire/error-table.ts";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import { rawErrorResponse, sendError } from "./error-response.ts";
import { MAX_PARSE_ERRORS, REFUSAL_LINGER_MS } from "../limits.ts";
import type { ResponseOrder } from "./response-order.ts";

/** By the codes of node's HTTP/1.1 server and parser; any other is `bad_request`. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "payload_too_large",
  HPE_HEADER_OVERFLOW: "headers_too_large",
};

export class ClientErrors {
  readonly #order: ResponseOrder;
  /** Connections that cannot be parsed any further, and how many errors the parser has reported. */
  readonly #invalid = new WeakMap<Duplex, { code: ErrorCode; count: number }>();

  constructor(order: ResponseOrder) {
    this.#order = order;
  }

  /** Handles the server's 'clientError', which may be emitted several times for one connection. */
  handle(error: Error, socket: Duplex): void {
    const reason = errorCodeOf(error) ?? "";
    if (!socket.writable || reason === "ECONNRESET") return void socket.destroy();
    const known = this.#invalid.get(socket);
    if (known !== undefined) {
      known.count += 1;
      if (known.count > MAX_PARSE_ERRORS) socket.destroy();
      return;
    }
    const code = CODES[reason] ?? "bad_request";
    this.#invalid.set(socket, { code, count: 1 });
    const last = this.#order.exchanges(socket).at(-1);
    this.#order.whenIdle(socket, () => refuse(socket, code));
    if (last === undefined) return;
    const { request, response } = last;
    if (!response.headersSent) response.shouldKeepAlive = false; // it is the last on this connection
    if (request.complete) return;
    // The body of this request is invalid. A response that has begun is cut.
    sendError(request, response, new TurnaboutError(code, "the request's body is not valid HTTP"));
  }
}

function refuse(socket: Duplex, code: ErrorCode): void {
  if (!socket.writable) return;
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.end(rawErrorResponse(new TurnaboutError(code, "the caller's request is malformed or incomplete")));
}
