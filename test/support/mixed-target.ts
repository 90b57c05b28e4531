/** A target with everything that a restart may cut: short responses, downloads, uploads, events and WebSockets. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer } from "ws";
import { EventLog } from "./event-log.ts";
import { startHttpTarget } from "./target.ts";
import type { TestTarget } from "./target.ts";

export const HALF: string = "x".repeat(64 * 1024);

export interface MixedTarget extends TestTarget {
  /** Downloads of which {@link HALF} has been sent; end them. */
  readonly downloads: EventLog<ServerResponse>;
  /** Close codes of WebSockets, as this end gets them. */
  readonly closeCodes: EventLog<number>;
  /** The connections of WebSockets, to write parts of frames. */
  readonly webSockets: EventLog<Socket>;
}

/**
 * `/small`: `ok`. `/download` and `/events` begin, and wait. `/upload` responds with the number of bytes when they have ended.
 * WebSockets get back what they send.
 */
export async function startMixedTarget(): Promise<MixedTarget> {
  const downloads = new EventLog<ServerResponse>();
  const closeCodes = new EventLog<number>();
  const target = await startHttpTarget((request, response) => {
    if (request.url === "/upload") {
      let bytes = 0;
      request.on("data", (chunk: Buffer) => (bytes += chunk.length));
      request.on("end", () => response.end(String(bytes)));
      return;
    }
    if (request.url === "/download" || request.url === "/events") {
      const type = request.url === "/events" ? "text/event-stream" : "application/octet-stream";
      response.writeHead(200, { "content-type": type }).write(HALF);
      return downloads.push(response);
    }
    response.end("ok");
  });
  const sockets = new WebSocketServer({ server: target.http });
  const webSockets = new EventLog<Socket>();
  sockets.on("connection", (socket, request) => {
    webSockets.push(request.socket);
    socket.on("error", () => {}); // permanent
    socket.on("message", (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    socket.on("close", (code) => closeCodes.push(code));
  });
  return Object.assign(target, { downloads, closeCodes, webSockets });
}
