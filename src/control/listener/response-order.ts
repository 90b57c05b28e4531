/**
 * The order of answers on an HTTP/1.1 connection (RFC 9112 §9.3.2). Node keeps it for requests; CONNECT and upgrades it
 * hands over at once, whatever responses are still under way before them, and lets go of the connection. So they wait
 * here for their turn: an answer of theirs would land inside an earlier response, and an HTTP/2 session that started on
 * a TLS socket with an earlier response's writes would abort the process.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { watchCaller } from "./client-disconnect.ts";
import { UPGRADE_TURN_TIMEOUT_MS } from "../limits.ts";

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

export class ResponseOrder {
  /** Exchanges of a connection whose responses are not finished, in their order. */
  readonly #open = new WeakMap<Duplex, Set<Exchange>>();
  readonly #onLast = new WeakMap<Duplex, () => void>();

  /** Call it for every request. */
  follow(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const open = this.#open.get(socket) ?? new Set();
    this.#open.set(socket, open);
    const exchange = { request, response };
    open.add(exchange);
    // 'close' follows 'finish': the response's last write is over by then.
    response.once("close", () => {
      open.delete(exchange);
      if (open.size === 0) this.#onLast.get(socket)?.();
    });
  }

  /** Those under way on a connection, in their order. */
  exchanges(socket: Duplex): readonly Exchange[] {
    return [...(this.#open.get(socket) ?? [])];
  }

  /** Calls `done` when no response of the connection is under way any more; at once if none is. One for a connection. */
  whenIdle(socket: Duplex, done: () => void): void {
    if ((this.#open.get(socket)?.size ?? 0) === 0) return done();
    this.#onLast.set(socket, () => {
      this.#onLast.delete(socket);
      done();
    });
  }

  /**
   * Hands a CONNECT or an upgrade on when it is its turn. Not at all if its caller has left by then, if an earlier
   * response has closed the connection, or if that took longer than {@link UPGRADE_TURN_TIMEOUT_MS}; then the connection
   * ends behind the earlier responses. What the caller sends meanwhile stays in the socket, which reads up to its limit.
   *
   * @param stream what node gave for the request: its socket, or what stands for it while a body is under way
   */
  takeTurn(
    request: IncomingMessage,
    stream: Duplex,
    head: Buffer,
    go: (request: IncomingMessage, stream: Duplex, head: Buffer) => void,
  ): void {
    const { socket } = request;
    if (this.exchanges(socket).length === 0) return go(request, stream, head);
    const watch = watchCaller(stream, head);
    let isLate = false;
    const timer = setTimeout(() => (isLate = true), UPGRADE_TURN_TIMEOUT_MS);
    // Node has taken its listeners off. These do what they did for the responses under way.
    const onDrain = (): void => {
      const [first] = this.exchanges(socket);
      if (first?.response.writableNeedDrain === true && first.response.writableLength === 0)
        first.response.emit("drain");
    };
    const onClose = (): void => {
      clearTimeout(timer);
      for (const { request: earlier, response } of this.exchanges(socket)) {
        if (!earlier.destroyed) earlier.destroy(new Error("aborted"));
        if (!response.destroyed) response.destroy(new Error("aborted"));
      }
    };
    const onLeft = (): void => void socket.end();
    stream.on("error", ignore); // for ever
    socket.on("drain", onDrain);
    socket.once("close", onClose);
    watch.signal.addEventListener("abort", onLeft, { once: true });
    this.whenIdle(socket, () => {
      clearTimeout(timer);
      watch.stop();
      watch.signal.removeEventListener("abort", onLeft);
      socket.off("drain", onDrain);
      socket.off("close", onClose);
      if (socket.destroyed) return;
      if (isLate || watch.signal.aborted || !socket.writable) return socket.destroySoon();
      socket.setTimeout(0); // node's, of a kept-alive connection that waits for a request
      go(request, stream, Buffer.alloc(0));
    });
  }
}

function ignore(): void {}
