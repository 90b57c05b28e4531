/** Upgrades of the two WebSocket paths; everything else gets a status. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { MAX_WEBSOCKET_MESSAGE_BYTES, MAX_WEBSOCKETS } from "../limits.ts";
import { isFromLocalPage } from "./same-origin.ts";

export function acceptSockets(
  server: Server,
  onSocket: (path: string, socket: WebSocket) => void,
): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_WEBSOCKET_MESSAGE_BYTES,
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {});
    const [path = ""] = (request.url ?? "").split("?");
    if (isFromLocalPage(request)) return refuse(socket, "403 Forbidden");
    if (path !== "/ws/clipboard" && path !== "/ws/input") return refuse(socket, "404 Not Found");
    if (sockets.clients.size >= MAX_WEBSOCKETS) return refuse(socket, "503 Service Unavailable");
    sockets.handleUpgrade(request, socket, head, (webSocket) => onSocket(path, webSocket));
  });
  return sockets;
}

function refuse(socket: Duplex, status: string): void {
  const text = `${status.slice(4)}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n` +
      `Connection: close\r\n\r\n${text}`,
  );
}
