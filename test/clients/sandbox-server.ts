/** A sandbox's server with the quirks of Helix's, for its client. No display: pictures are bytes. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { startHttpTarget } from "../support/target.ts";
import type { TestTarget } from "../support/target.ts";

/** A 4K screenshot that does not compress. */
export const PICTURE: Buffer = Buffer.alloc(6 * 1024 * 1024, "\x89PNG and some pixels");
export const ETAG = '"fnv64a-1"';
const MAX_UPLOAD_BYTES = 1024 * 1024;

export interface SandboxServer extends AsyncDisposable {
  readonly target: TestTarget & { readonly http: Server };
  /** Before it is true everything that needs a desktop is a 500 with a text. */
  displayIsUp: boolean;
  /** An empty clipboard is an empty body by the older servers, and JSON by the newer ones. */
  age: "older" | "newer";
  clipboard: { type: string; data: string } | undefined;
  /** `METHOD /path?query`, oldest first. */
  readonly seen: string[];
  readonly uploads: { headers: IncomingMessage["headers"]; body: Buffer }[];
  /** The next WebSocket, and its messages. */
  nextWebSocket(): Promise<WebSocket>;
}

export async function startSandboxServer(): Promise<SandboxServer> {
  const webSockets = new WebSocketServer({ noServer: true });
  const waiting: ((socket: WebSocket) => void)[] = [];
  const target = await startHttpTarget((request, response) => {
    server.seen.push(`${request.method} ${request.url}`);
    respond(server, request, response).catch(() => request.destroy());
  });
  target.http.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    server.seen.push(`WS ${request.url}`);
    if (!server.displayIsUp) {
      const text = "PipeWire node not available\n";
      socket.end(
        `HTTP/1.1 503 Service Unavailable\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
      );
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      // In one piece with the handshake, as a stream's first picture may be.
      webSocket.send(Buffer.from([0x30, 1, 2]));
      waiting.shift()?.(webSocket);
    });
  });
  const server: SandboxServer = {
    target,
    displayIsUp: true,
    age: "newer",
    clipboard: undefined,
    seen: [],
    uploads: [],
    nextWebSocket: () => new Promise((resolve) => waiting.push(resolve)),
    [Symbol.asyncDispose]: () => target.close(),
  };
  return server;
}

async function respond(
  server: SandboxServer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://sandbox");
  switch (`${request.method} ${pathname}`) {
    case "GET /health":
      return text(response, 200, "OK");
    case "GET /screenshot": {
      if (!server.displayIsUp) return text(response, 500, "No Wayland sockets available\n");
      response.setHeader("cache-control", "private, no-cache");
      response.setHeader("etag", ETAG);
      if (request.headers["if-none-match"] === ETAG) return void response.writeHead(304).end();
      const format = searchParams.get("format") ?? "jpeg";
      return void response.writeHead(200, { "content-type": `image/${format}` }).end(PICTURE);
    }
    case "GET /clipboard": {
      if (!server.displayIsUp) return text(response, 500, "No Wayland display available\n");
      if (server.clipboard === undefined && server.age === "older") {
        return void response.writeHead(200, { "content-type": "text/plain" }).end();
      }
      const body = JSON.stringify(server.clipboard ?? { type: "text", data: "" });
      return void response.writeHead(200, { "content-type": "application/json" }).end(body);
    }
    case "POST /clipboard": {
      const content = JSON.parse(String(await readAll(request))) as { type: string; data: string };
      server.clipboard = content;
      return void response.writeHead(200).end();
    }
    case "POST /exec": {
      const { command, env, timeout, background } = JSON.parse(String(await readAll(request))) as Record<
        string,
        unknown
      >;
      const [name, ...args] = command as string[];
      if (name === "hang") return;
      if (name !== "echo") return text(response, 403, `command not allowed: ${name}\n`);
      if (background === true) return json(response, { success: true, exit_code: 0, pid: 4711 });
      return json(response, { success: true, output: JSON.stringify({ args, env, timeout }), exit_code: 0 });
    }
    case "POST /upload": {
      if (Number(request.headers["content-length"] ?? 0) > MAX_UPLOAD_BYTES) {
        // As Go's server: the response first, and what still comes is read, or closing would discard the response.
        request.on("error", () => {}).resume();
        request.socket.write(
          "HTTP/1.1 413 Too Large\r\nContent-Length: 15\r\nConnection: close\r\n\r\nfile too large\n",
        );
        return;
      }
      const body = await readAll(request);
      server.uploads.push({ headers: request.headers, body });
      const filename = /filename="([^"]*)"/.exec(body.toString("latin1"))?.[1] ?? "";
      return json(response, { path: `/incoming/${filename}`, size: body.length, filename });
    }
    default:
      return text(response, 404, "404 page not found\n");
  }
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}
