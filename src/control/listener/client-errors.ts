/**
 * What a caller on HTTP/1.1 sends that is no request: 400, 408, 413 or 431, and the end of the connection. Never inside
 * a response that is under way (RFC 9112 §9.3.2): that one becomes complete first, or is cut so that it cannot be taken
 * for complete where its own request is broken.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import { sendError } from "../http-errors.ts";
import { MAX_PARSE_ERRORS, REFUSAL_LINGER_MS } from "../limits.ts";

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

const STATUS_LINES: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Content Too Large",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

export class ClientErrors {
  /** Exchanges of a connection whose responses are not finished, in their order. */
  readonly #open = new WeakMap<Duplex, Set<Exchange>>();
  /** Connections whose requests cannot be parsed any more, and how often that was said. */
  readonly #broken = new WeakMap<Duplex, { statusLine: string; count: number }>();

  /** Call it for every request. */
  follow(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const open = this.#open.get(socket) ?? new Set();
    this.#open.set(socket, open);
    const exchange = { request, response };
    open.add(exchange);
    response.once("close", () => {
      open.delete(exchange);
      const broken = this.#broken.get(socket);
      if (open.size === 0 && broken !== undefined) refuse(socket, broken.statusLine);
    });
  }

  /** For the server's 'clientError'; may come several times for one connection. */
  handle(error: Error, socket: Duplex): void {
    const code = errorCodeOf(error) ?? "";
    if (!socket.writable || code === "ECONNRESET") return void socket.destroy();
    const known = this.#broken.get(socket);
    if (known !== undefined) {
      known.count += 1;
      if (known.count > MAX_PARSE_ERRORS) socket.destroy();
      return;
    }
    const statusLine = STATUS_LINES[code] ?? "400 Bad Request";
    this.#broken.set(socket, { statusLine, count: 1 });
    const last = [...(this.#open.get(socket) ?? [])].at(-1);
    if (last === undefined) return refuse(socket, statusLine);
    const { request, response } = last;
    if (!response.headersSent) response.shouldKeepAlive = false; // it is the last on this connection
    if (request.complete) return;
    // Its own body is broken. Where the response has begun this cuts it.
    sendError(request, response, new TurnaboutError("bad_request", "the request's body is not valid HTTP"));
  }
}

function refuse(socket: Duplex, statusLine: string): void {
  if (!socket.writable) return;
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.end(`HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
