/**
 * The double's own WebSocket endpoints, which Moonlight Web does not have.
 *
 * - `WS /api/ws/echo`: sends back every message, text as text and binary as binary. Selects the first
 *   sub-protocol offered, takes `permessage-deflate` if offered, never pings. The text `close:4000:reason` makes
 *   it close with that code and reason.
 * - `/api/ws/refuse?status=404`: refuses the handshake with that status and a small JSON body.
 */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { MAX_UNSENT_ECHO_BYTES } from "./limits.ts";

export const ECHO_PATH = "/api/ws/echo";
export const REFUSE_PATH = "/api/ws/refuse";

/** Codes that an application may send (RFC 6455 §7.4.2), and the normal one. */
const CLOSE_COMMAND = /^close:(1000|[34]\d{3}):(.*)$/s;

/** A close frame has 125 bytes, two of them for the code. */
const MAX_REASON_BYTES = 123;

export function echo(socket: WebSocket): void {
  socket.on("message", (data, isBinary) => {
    // One Buffer: that is ws's default `binaryType` on this side.
    const bytes = data as Buffer;
    const close = isBinary ? null : CLOSE_COMMAND.exec(bytes.toString("utf8"));
    if (close !== null && Buffer.byteLength(close[2] ?? "") <= MAX_REASON_BYTES) {
      socket.close(Number(close[1]), close[2]);
      return;
    }
    socket.send(bytes, { binary: isBinary }, () => {
      if (socket.isPaused && socket.bufferedAmount < MAX_UNSENT_ECHO_BYTES) socket.resume();
    });
    if (socket.bufferedAmount >= MAX_UNSENT_ECHO_BYTES) socket.pause();
  });
}

export function refuseHandshake(socket: Duplex, status: number): void {
  const body = JSON.stringify({ error: "refused by the double", status });
  const fields = [
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}`, ...fields, "", ""].join("\r\n");
  socket.end(head + body, () => socket.destroy());
}

/** The final status in the query, 200 to 599. Default 404. */
export function refusalStatus(query: URLSearchParams): number {
  const status = Number(query.get("status") ?? "404");
  return Number.isInteger(status) && status >= 200 && status <= 599 ? status : 404;
}
