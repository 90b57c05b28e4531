/** The HTTP side of the sandbox: `GET /screenshot` and `GET /health`, as Helix's server responds to them. */
import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import { DisplayError } from "./display.ts";
import type { Display } from "./display.ts";
import { MAX_CONNECTIONS } from "./limits.ts";

/** @param current called for every request, because the display starts later and may be replaced */
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
  // After a reset there is no caller left to respond to.
  server.on("connection", (socket) => socket.on("error", () => {}));
  return server;
}

/** Shares one run among concurrent calls, so that at most one capture runs at a time. */
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
