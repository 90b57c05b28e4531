/**
 * Where the relay listens for agents: HTTP/1.1, of which only an upgrade at the agent endpoint is forwarded. Nothing else
 * of the control plane can be reached through it.
 */
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../wire/error-table.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { PTTH_UPGRADE_TOKEN } from "../../wire/protocol.ts";
import {
  MAX_RELAY_PENDING_REQUESTS,
  MAX_RELAY_HEADER_BYTES,
  RELAY_LINGER_MS,
  RELAY_REQUEST_TIMEOUT_MS,
  TCP_KEEPALIVE_MS,
} from "../limits.ts";
import { rawErrorResponse, relayErrorResponse } from "./error-response.ts";
import { FairPlaces } from "./places.ts";

/** An agent's request for a tunnel connection. */
export interface UpgradeRequest {
  request: IncomingMessage;
  socket: Socket;
  /** Bytes that came behind the request's header. */
  head: Buffer;
  /** The upgrade token: `ptth` or `websocket`. */
  protocol: string;
}

export interface ListenerHandlers {
  /** Paths of the agent endpoint. */
  paths: ReadonlySet<string>;
  /** Takes over the socket. */
  accept(upgrade: UpgradeRequest): void;
  refused(code: ErrorCode): void;
}

/** One server for each address; `destroy` ends connections that have not sent a whole request yet. */
export class RelayListener {
  readonly #handlers: ListenerHandlers;
  /** Connections with a deadline for their request, or for reading a refusal. */
  readonly #pending = new Map<Duplex, { timer: NodeJS.Timeout; release: () => void }>();
  /** The same by address; all on a Unix socket have the same. */
  readonly #pendingByPeer = new FairPlaces<Duplex>();
  /** Connections whose one response was written, but may not have been sent yet. They close after it. */
  readonly #responded = new WeakSet<Duplex>();

  constructor(handlers: ListenerHandlers) {
    this.#handlers = handlers;
  }

  createServer(): http.Server {
    const server = http.createServer({
      maxHeaderSize: MAX_RELAY_HEADER_BYTES,
      headersTimeout: 0, // the deadline below also holds for connections that send nothing
      requestTimeout: 0,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_MS,
      shouldUpgradeCallback: () => true,
    });
    server.on("connection", (socket) => this.#connected(socket));
    server.on("upgrade", (request, socket, head) => {
      guard(socket).run(() => this.#upgrade(request, socket as Socket, head));
    });
    server.on("request", (request, response) => {
      guard(request.socket).run(() => this.#respondToRequest(request, response));
    });
    server.on("connect", (request, socket) => {
      if (this.#responded.has(request.socket)) socket.resume();
      else guard(socket).run(() => this.#refuse(socket, "not_found"));
    });
    // Not HTTP/1.1: TLS, the HTTP/2 preface, garbage.
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
      if (this.#responded.has(socket)) return;
      const code = error.code === "HPE_HEADER_OVERFLOW" ? "headers_too_large" : "bad_request";
      guard(socket).run(() => this.#refuse(socket, code));
    });
    return server;
  }

  destroy(): void {
    for (const socket of this.#pending.keys()) socket.destroy();
  }

  #connected(socket: Socket): void {
    socket.on("error", () => {}); // permanently
    if (this.#pending.size >= MAX_RELAY_PENDING_REQUESTS) {
      const [oldest] = this.#pendingByPeer.largest();
      if (oldest !== undefined) this.#release(oldest);
      oldest?.destroy();
    }
    this.#limit(socket, RELAY_REQUEST_TIMEOUT_MS);
    socket.once("close", () => this.#release(socket));
  }

  #limit(socket: Duplex, timeoutMs: number): void {
    this.#release(socket);
    const peer = (socket as Socket).remoteAddress ?? "";
    this.#pending.set(socket, {
      timer: setTimeout(() => socket.destroy(), timeoutMs),
      release: this.#pendingByPeer.take(peer, socket),
    });
  }

  #release(socket: Duplex): void {
    const pending = this.#pending.get(socket);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    pending.release();
    this.#pending.delete(socket);
  }

  #respondToRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    if (this.#responded.has(socket)) return; // `Connection: close` has been sent
    this.#responded.add(socket);
    const code = this.#isEndpoint(request) ? "upgrade_required" : "not_found";
    this.#handlers.refused(code);
    const { status, headers, body } = relayErrorResponse(code);
    response.writeHead(status, headers).end(body);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.#responded.has(request.socket)) return void socket.resume();
    const protocol = request.headers.upgrade?.trim().toLowerCase() ?? "";
    if (!this.#isEndpoint(request)) return this.#refuse(socket, "not_found");
    if (request.method !== "GET") return this.#refuse(socket, "method_not_allowed");
    if (protocol !== PTTH_UPGRADE_TOKEN && protocol !== "websocket") {
      return this.#refuse(socket, "upgrade_required");
    }
    // One hop would read a body as the beginning of the tunnel connection, another one as a body.
    if (hasBody(request)) return this.#refuse(socket, "bad_request");
    this.#release(socket);
    this.#handlers.accept({ request, socket, head, protocol });
  }

  #refuse(socket: Duplex, code: ErrorCode): void {
    this.#handlers.refused(code);
    this.respond(socket, rawErrorResponse(code));
  }

  /** Writes a last response. The socket is closed also if its peer never reads. */
  respond(socket: Duplex, response: Buffer): void {
    if (socket.destroyed) return;
    this.#limit(socket, RELAY_LINGER_MS);
    socket.end(response);
    socket.resume(); // unread bytes would turn our close into a reset, and the response would be lost
  }

  /** Compares the path as it was sent: nothing is decoded or normalised, so nothing can be smuggled past the comparison. */
  #isEndpoint(request: IncomingMessage): boolean {
    const [path = ""] = (request.url ?? "").split("?", 1);
    return this.#handlers.paths.has(path);
  }
}

function guard(socket: Duplex): Guard {
  return new Guard((error) => socket.destroy(error));
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}
