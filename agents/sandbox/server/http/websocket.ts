/** What both WebSockets have in common: liveness that works through a tunnel, and a close that comes to its end. */
import type { WebSocket } from "ws";
import { PING_INTERVAL_MS, PONG_DEADLINE_MS, WEBSOCKET_CLOSE_TIMEOUT_MS } from "../limits.ts";

export interface LivenessOptions {
  pingIntervalMs?: number;
  /** A peer that is silent for so long has gone. */
  deadlineMs?: number;
  /** From our close frame to the end of the connection. */
  closeTimeoutMs?: number;
}

/** Pings, and ends the connection of a peer that sends neither pongs nor messages. Also takes its errors. */
export function keepAlive(socket: WebSocket, options: LivenessOptions = {}): void {
  const { pingIntervalMs = PING_INTERVAL_MS, deadlineMs = PONG_DEADLINE_MS } = options;
  let heardAt = performance.now();
  const heard = (): void => {
    heardAt = performance.now();
  };
  socket.on("pong", heard);
  socket.on("ping", heard);
  socket.on("message", heard);
  const timer = setInterval(() => {
    // While we do not read, for back-pressure, its pongs lie in the socket.
    if (socket.isPaused) heard();
    if (performance.now() - heardAt > deadlineMs) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, pingIntervalMs);
  socket.once("close", () => clearInterval(timer));
  socket.on("error", () => {}); // a protocol error or a reset; 'close' follows
}

/** Limit for the peer's close frame; ws's own is 30 s. */
export function closeSocket(
  socket: WebSocket,
  code: number,
  reason: string,
  timeoutMs: number = WEBSOCKET_CLOSE_TIMEOUT_MS,
): void {
  socket.close(code, reason);
  const timer = setTimeout(() => socket.terminate(), timeoutMs);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}
