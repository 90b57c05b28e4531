/**
 * Callers' connections without an exchange: new ones, and those that are kept alive. A shutdown closes them, but not at
 * once: a request may be on its way, and would be lost with the connection (as nginx's `keepalive_min_timeout` prevents).
 */
import type { Socket } from "node:net";
import { CALLER_MIN_IDLE_MS } from "../limits.ts";

interface Idle {
  sinceMs: number;
  bytesRead: number;
  /** A request has begun to arrive meanwhile, and has got its time once. */
  isArriving: boolean;
}

export class IdleConnections {
  readonly #idle = new Map<Socket, Idle>();
  /** When each was first seen, on the clock of `performance.now()`. */
  readonly #firstSeenMs = new WeakMap<Socket, number>();
  readonly #taken = new WeakSet<Socket>();

  /** It is new, or its last exchange has ended. */
  add(socket: Socket): void {
    if (socket.destroyed || this.#taken.has(socket)) return;
    if (!this.#firstSeenMs.has(socket)) {
      this.#firstSeenMs.set(socket, performance.now());
      socket.once("close", () => this.remove(socket));
    }
    this.#idle.set(socket, {
      sinceMs: performance.now(),
      bytesRead: socket.bytesRead,
      isArriving: false,
    });
  }

  /** It has an exchange now. */
  remove(socket: Socket): void {
    this.#idle.delete(socket);
  }

  /** Another protocol has taken it over: it is never idle again. */
  take(socket: Socket): void {
    this.#taken.add(socket);
    this.#idle.delete(socket);
  }

  /** Closes those that have been idle for {@link CALLER_MIN_IDLE_MS}. */
  closeOld(): void {
    const nowMs = performance.now();
    for (const [socket, idle] of this.#idle) {
      if (nowMs - idle.sinceMs < CALLER_MIN_IDLE_MS) continue;
      const { bytesRead } = socket;
      if (bytesRead === idle.bytesRead || idle.isArriving) {
        this.#idle.delete(socket);
        socket.destroy();
      } else Object.assign(idle, { sinceMs: nowMs, bytesRead, isArriving: true });
    }
  }

  /** Whether one is left that was there before this moment of `performance.now()`. */
  has(beforeMs: number): boolean {
    for (const socket of this.#idle.keys()) if ((this.#firstSeenMs.get(socket) ?? 0) < beforeMs) return true;
    return false;
  }
}
