/** The HTTP side of the sandbox: `GET /screenshot` and `GET /health`, as Helix's server answers them. */
import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import { DisplayError } from "./display.ts";
import type { Display } from "./display.ts";
import { MAX_CONNECTIONS } from "./limits.ts";

/** @param current asked at every request: the display may come later, or be replaced */
export function createScreenshotServer(current: () => Pick<Display, "kind" | "capture">): Server {
  const server = createServer((request, response) => {
    const [path] = (request.url ?? "").split("?");
    if (path === "/health") return text(response, 200, "OK");
    if (path !== "/screenshot") return text(response, 404, "404 page not found\n");
    response.setHeader("cache-control", "no-cache, no-store, must-revalidate");
    if (request.method !== "GET") {
      response.setHeader("allow", "GET");
      return text(response, 405, "Method not allowed\n");
    }
    const display = current();
    response.setHeader("x-turnabout-display", display.kind);
    display.capture().then(
      (png) =>
        response.writeHead(200, { "content-type": "image/png", "content-length": png.length }).end(png),
      (error: unknown) => text(response, 500, `${messageOf(error)}\n`),
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  // A caller that resets its connection: there is nobody left to answer.
  server.on("connection", (socket) => socket.on("error", () => {}));
  return server;
}

/** Many callers, one run: whoever asks while it runs gets its result, so one capture at most runs at a time. */
export function coalesce<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () =>
    (running ??= work().finally(() => {
      running = undefined;
    }));
}

function messageOf(error: unknown): string {
  return error instanceof DisplayError ? error.message : "Failed to capture screenshot";
}

function text(response: ServerResponse, status: number, body: string): void {
  const headers = { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(body) };
  response.writeHead(status, headers).end(body);
}
