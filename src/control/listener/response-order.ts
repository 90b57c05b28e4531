/**
 * The order of responses on an HTTP/1.1 connection (RFC 9112 §9.3.2). Node keeps it for requests, but hands over CONNECT
 * and upgrades at once, even while earlier responses are under way, and detaches from the connection. Here they wait for
 * their turn: their response would land inside an earlier one, and an HTTP/2 session that starts on a TLS socket with
 * pending writes would abort the process.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { watchCaller } from "./client-disconnect.ts";
import { UPGRADE_TURN_TIMEOUT_MS } from "../limits.ts";

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** Exchanges of a connection whose responses have not finished, in order. Not in a WeakMap: see `OpenList`. */
const EXCHANGES = Symbol("exchanges");

type Ordered = Duplex & { [EXCHANGES]?: Exchange[] };

export class ResponseOrder {
  readonly #onIdle = new WeakMap<Duplex, () => void>();

  /** To be called for every request. */
  follow(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const exchange = { request, response };
    let open = (socket as Ordered)[EXCHANGES];
    if (open === undefined) {
      open = [];
      (socket as Ordered)[EXCHANGES] = open;
    }
    const exchanges = open;
    exchanges.push(exchange);
    // 'close' follows 'finish': the last write of the response has finished by then.
    response.once("close", () => {
      exchanges.splice(exchanges.indexOf(exchange), 1);
      if (exchanges.length === 0) this.#onIdle.get(socket)?.();
    });
  }

  /** Exchanges under way on a connection, in order. */
  exchanges(socket: Duplex): readonly Exchange[] {
    return [...((socket as Ordered)[EXCHANGES] ?? [])];
  }

  /** Calls `done` when no response is under way on the connection, at once if none is. One `done` for a connection. */
  whenIdle(socket: Duplex, done: () => void): void {
    if (((socket as Ordered)[EXCHANGES]?.length ?? 0) === 0) return done();
    this.#onIdle.set(socket, () => {
      this.#onIdle.delete(socket);
      done();
    });
  }

  /**
   * Hands a CONNECT or an upgrade on when its turn comes, unless by then the caller has disconnected, an earlier response
   * has closed the connection, or {@link UPGRADE_TURN_TIMEOUT_MS} has passed. In those cases the connection ends after the
   * earlier responses. Bytes that arrive meanwhile stay in the socket, up to its buffer limit.
   *
   * @param stream the socket that node passed to the handler, or its stand-in while a body is under way
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
    // Node has removed its own listeners. These replace them for the responses under way.
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
    stream.on("error", ignore); // permanently
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
      socket.setTimeout(0); // node's keep-alive timeout
      go(request, stream, Buffer.alloc(0));
    });
  }
}

function ignore(): void {}
