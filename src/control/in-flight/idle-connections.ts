/**
 * Callers' connections without an exchange: new ones, and those that are kept alive. A shutdown closes them, but not at
 * once: a request may be on its way, and would be lost with the connection (as nginx's `keepalive_min_timeout` prevents).
 */
import type { Socket } from "node:net";
import { OpenList } from "./open-list.ts";
import type { Listed } from "./open-list.ts";
import { CALLER_MIN_IDLE_MS } from "../limits.ts";

interface Connection extends Listed {
  readonly socket: Socket;
  /** On the clock of `performance.now()`. */
  readonly firstSeenMs: number;
  /** It has no exchange, since {@link sinceMs}. */
  isIdle: boolean;
  /** Another protocol has taken it over: it is never idle again. */
  isTaken: boolean;
  sinceMs: number;
  bytesRead: number;
  /** A request has begun to arrive meanwhile, and has got its time once. */
  isArriving: boolean;
}

const CONNECTION = Symbol("caller's connection");

/** Not in a WeakMap: see {@link OpenList}. */
type Followed = Socket & { [CONNECTION]?: Connection };

export class IdleConnections {
  readonly #open = new OpenList<Connection>();

  /** It is new, or its last exchange has ended. */
  add(socket: Socket): void {
    if (socket.destroyed) return;
    const connection = (socket as Followed)[CONNECTION] ?? this.#follow(socket);
    if (connection.isTaken) return;
    connection.isIdle = true;
    connection.sinceMs = performance.now();
    connection.bytesRead = socket.bytesRead;
    connection.isArriving = false;
  }

  /** It has an exchange now. */
  remove(socket: Socket): void {
    const connection = (socket as Followed)[CONNECTION];
    if (connection !== undefined) connection.isIdle = false;
  }

  /** Another protocol has taken it over: it is never idle again. */
  take(socket: Socket): void {
    const connection = (socket as Followed)[CONNECTION] ?? this.#follow(socket);
    connection.isTaken = true;
    this.#open.remove(connection);
  }

  /** Closes those that have been idle for {@link CALLER_MIN_IDLE_MS}. */
  closeOld(): void {
    const nowMs = performance.now();
    for (const connection of this.#open.all()) {
      const { socket, sinceMs, isIdle, isArriving } = connection;
      if (!isIdle || nowMs - sinceMs < CALLER_MIN_IDLE_MS) continue;
      const { bytesRead } = socket;
      if (bytesRead === connection.bytesRead || isArriving) {
        this.#open.remove(connection);
        socket.destroy();
      } else Object.assign(connection, { sinceMs: nowMs, bytesRead, isArriving: true });
    }
  }

  /** Whether one is left that was there before this moment of `performance.now()`. */
  has(beforeMs: number): boolean {
    for (const { isIdle, firstSeenMs } of this.#open.values()) {
      if (isIdle && firstSeenMs < beforeMs) return true;
    }
    return false;
  }

  #follow(socket: Socket): Connection {
    const nowMs = performance.now();
    const connection: Connection = {
      socket,
      firstSeenMs: nowMs,
      isIdle: false,
      isTaken: false,
      sinceMs: nowMs,
      bytesRead: 0,
      isArriving: false,
      listIndex: -1,
    };
    (socket as Followed)[CONNECTION] = connection;
    this.#open.add(connection);
    socket.once("close", () => this.#open.remove(connection));
    return connection;
  }
}
