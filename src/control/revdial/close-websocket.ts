/** Closes a WebSocket whose client may not respond. */
import type { WebSocket } from "ws";
import { CLOSE_TIMEOUT_MS } from "./limits.ts";

/** RFC 6455 §5.5: a control frame has 125 bytes, and the code takes two of them. */
const MAX_REASON_BYTES = 123;

/** Sends a Close frame, and ends the connection if none comes back in time. */
export function closeWebSocket(webSocket: WebSocket, code: number, reason = ""): void {
  if (webSocket.readyState !== webSocket.OPEN) return webSocket.terminate();
  webSocket.close(code, reason.replaceAll(/[^ -~]/g, "?").slice(0, MAX_REASON_BYTES));
  webSocket.resume(); // the response may be behind unread bytes
  const timer = setTimeout(() => webSocket.terminate(), CLOSE_TIMEOUT_MS);
  webSocket.once("close", () => clearTimeout(timer));
}
