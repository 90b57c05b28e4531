/** The private service behind the tunnel, which callers reach through a TLS terminator. */
import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { WebSocketServer } from "ws";
import { startHttpTarget } from "../support/target.ts";
import type { TestTarget } from "../support/target.ts";

export const BULK_BYTES = 300_000_000;
export const LARGE_FIELD_BYTES: number = 12 * 1024;
const CHUNK: Buffer = randomBytes(1_000_000);

export interface Service extends TestTarget {
  /** Fields of every request, in the order of their arrival. */
  readonly heads: IncomingMessage["headers"][];
  readonly lines: string[];
  /** Sends a server-sent event to all listeners. */
  emit(data: string): void;
  /** Responds to the requests that wait. */
  release(): void;
}

/** 300 MB, the same in every run. */
export function bulk(): Readable {
  return Readable.from(
    (function* () {
      for (let sent = 0; sent < BULK_BYTES; sent += CHUNK.length) yield CHUNK;
    })(),
    { objectMode: false },
  );
}

export async function digest(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

export async function startService(): Promise<Service> {
  const heads: IncomingMessage["headers"][] = [];
  const lines: string[] = [];
  const listeners = new Set<ServerResponse>();
  const held = new Set<ServerResponse>();
  const target = await startHttpTarget((request, response) => {
    heads.push(request.headers);
    lines.push(`${request.method} ${request.url}`);
    response.on("error", () => {}); // permanently
    request.on("error", () => {}); // permanently
    void respond(request, response).catch(() => response.destroy());
  });
  const sockets = new WebSocketServer({ server: target.http });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {}); // permanently
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/upload") return void response.end(await digest(request));
    if (request.url === "/download") {
      response.setHeader("content-length", BULK_BYTES);
      return pipeline(bulk(), response);
    }
    if (request.url === "/held") {
      held.add(response);
      return;
    }
    if (request.url === "/large") response.setHeader("x-large", "y".repeat(LARGE_FIELD_BYTES));
    if (request.url === "/events") {
      listeners.add(response);
      response.once("close", () => listeners.delete(response));
      response.writeHead(200, { "content-type": "text/event-stream" });
      return void response.write("data: hello\n\n");
    }
    request.resume();
    response.end("ok");
  }

  return Object.assign(target, {
    heads,
    lines,
    emit: (data: string) => {
      for (const listener of listeners) listener.write(`data: ${data}\n\n`);
    },
    release: () => {
      for (const response of held) response.end("released");
      held.clear();
    },
  });
}
