/** The HTTP/1.1 listener: its bounds, pipelined upgrades, and an end that gives what is under way a little time. */
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import type { HttpBindings } from "@hono/node-server";
import type { Hono } from "hono";
import { CLOSE_TIMEOUT_MS, KEEP_ALIVE_MS, MAX_CONNECTIONS, REQUEST_TIMEOUT_MS } from "../limits.ts";
import type { Logger } from "../log.ts";

export function createListener(app: Hono<{ Bindings: HttpBindings }>, log: Logger): Server {
  const handle = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  /** Responses of a connection that are not finished. */
  const underWay = new WeakMap<Duplex, number>();
  const isBusy = ({ socket }: IncomingMessage) => (underWay.get(socket) ?? 0) > 0;
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      requireHostHeader: false, // node's own refusal would not be counted
      // Node hands an upgrade over at once: its response would land inside one that is under way.
      shouldUpgradeCallback: (request) => !isBusy(request),
    },
    (request, response) => {
      const isPipelined = request.headers.upgrade !== undefined && isBusy(request);
      const { socket } = request;
      underWay.set(socket, (underWay.get(socket) ?? 0) + 1);
      response.once("close", () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1));
      const hasHost = request.headers.host !== undefined || request.httpVersion !== "1.1";
      if (isPipelined || !hasHost) {
        response.writeHead(400, { connection: "close" }).end();
        return;
      }
      handle(request, response).catch((error: unknown) => {
        log.warn({ err: error }, "response could not be sent");
        response.destroy();
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  // The caller has reset its connection: no response is possible.
  server.on("connection", (socket) => socket.on("error", () => {}));
  return server;
}

/** @throws Error if it cannot listen */
export function listen(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(host === undefined ? { port } : { port, host }, () => {
      server.off("error", reject);
      // After listening only accept() can fail (EMFILE); the server goes on.
      server.on("error", () => {});
      resolve();
    });
  });
}

/** What is under way gets a little time. */
export function closeServer(server: Server, endSockets: () => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.closeAllConnections();
      endSockets();
    }, CLOSE_TIMEOUT_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
