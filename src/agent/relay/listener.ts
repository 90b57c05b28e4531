/**
 * The relay's side towards the agents behind it: HTTP/1.1, of which only an upgrade at the agent door is passed on.
 * Nothing else of the control plane can be reached through it.
 */
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../wire/error-table.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { PTTH_UPGRADE_TOKEN } from "../../wire/protocol.ts";
import {
  MAX_RELAY_ARRIVALS,
  MAX_RELAY_HEADER_BYTES,
  RELAY_LINGER_MS,
  RELAY_REQUEST_TIMEOUT_MS,
  TCP_KEEPALIVE_MS,
} from "../limits.ts";
import { ownAnswer, rawOwnAnswer } from "./error-response.ts";

export interface Arrival {
  request: IncomingMessage;
  socket: Socket;
  /** What came behind the request's header. */
  head: Buffer;
  /** The upgrade token: `ptth` or `websocket`. */
  upgrade: string;
}

export interface ArrivalHandlers {
  /** Paths of the door. */
  doors: ReadonlySet<string>;
  /** Takes over the socket. */
  accept(arrival: Arrival): void;
  refused(code: ErrorCode): void;
}

/** One server for each address; `destroy` ends those that have not said yet what they want. */
export class RelayListener {
  readonly #handlers: ArrivalHandlers;
  /** In the order of their coming. */
  readonly #waiting = new Map<Duplex, NodeJS.Timeout>();
  /** Connections whose only answer has been given, which may not have left yet. They close behind it. */
  readonly #answered = new WeakSet<Duplex>();

  constructor(handlers: ArrivalHandlers) {
    this.#handlers = handlers;
  }

  createServer(): http.Server {
    const server = http.createServer({
      maxHeaderSize: MAX_RELAY_HEADER_BYTES,
      headersTimeout: 0, // the deadline below also holds for those that send nothing at all
      requestTimeout: 0,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_MS,
      shouldUpgradeCallback: () => true,
    });
    server.on("connection", (socket) => this.#arrived(socket));
    server.on("upgrade", (request, socket, head) => {
      guard(socket).run(() => this.#upgrade(request, socket as Socket, head));
    });
    server.on("request", (request, response) => {
      guard(request.socket).run(() => this.#answerRequest(request, response));
    });
    server.on("connect", (request, socket) => {
      if (this.#answered.has(request.socket)) socket.resume();
      else guard(socket).run(() => this.#refuse(socket, "not_found"));
    });
    // Not HTTP/1.1: TLS, the HTTP/2 preface, garbage.
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
      if (this.#answered.has(socket)) return;
      const code = error.code === "HPE_HEADER_OVERFLOW" ? "headers_too_large" : "bad_request";
      guard(socket).run(() => this.#refuse(socket, code));
    });
    return server;
  }

  destroy(): void {
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  #arrived(socket: Duplex): void {
    socket.on("error", () => {}); // for ever
    if (this.#waiting.size >= MAX_RELAY_ARRIVALS) {
      const [oldest] = this.#waiting.keys();
      oldest?.destroy();
    }
    this.#limit(socket, RELAY_REQUEST_TIMEOUT_MS);
    socket.once("close", () => this.#release(socket));
  }

  #limit(socket: Duplex, timeoutMs: number): void {
    this.#release(socket);
    this.#waiting.set(
      socket,
      setTimeout(() => socket.destroy(), timeoutMs),
    );
  }

  #release(socket: Duplex): void {
    clearTimeout(this.#waiting.get(socket));
    this.#waiting.delete(socket);
  }

  #answerRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    if (this.#answered.has(socket)) return; // `Connection: close` has been said
    this.#answered.add(socket);
    const code = this.#isDoor(request) ? "upgrade_required" : "not_found";
    this.#handlers.refused(code);
    const { status, fields, body } = ownAnswer(code);
    response.writeHead(status, fields).end(body);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.#answered.has(request.socket)) return void socket.resume();
    const upgrade = request.headers.upgrade?.trim().toLowerCase() ?? "";
    if (!this.#isDoor(request)) return this.#refuse(socket, "not_found");
    if (request.method !== "GET") return this.#refuse(socket, "method_not_allowed");
    if (upgrade !== PTTH_UPGRADE_TOKEN && upgrade !== "websocket") {
      return this.#refuse(socket, "upgrade_required");
    }
    // A body would be read as the beginning of the session by one hop and as a body by another.
    if (hasBody(request)) return this.#refuse(socket, "bad_request");
    this.#release(socket);
    this.#handlers.accept({ request, socket, head, upgrade });
  }

  #refuse(socket: Duplex, code: ErrorCode): void {
    this.#handlers.refused(code);
    this.answer(socket, rawOwnAnswer(code));
  }

  /** The last that is said on a socket. It is closed, also if its peer never reads. */
  answer(socket: Duplex, bytes: Buffer): void {
    if (socket.destroyed) return;
    this.#limit(socket, RELAY_LINGER_MS);
    socket.end(bytes);
    socket.resume(); // unread bytes would turn our close into a reset, and the answer would be lost
  }

  /** The path as it stands: nothing is decoded or normalised, so nothing can be smuggled past the comparison. */
  #isDoor(request: IncomingMessage): boolean {
    const [path = ""] = (request.url ?? "").split("?", 1);
    return this.#handlers.doors.has(path);
  }
}

function guard(socket: Duplex): Guard {
  return new Guard((error) => socket.destroy(error));
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}
