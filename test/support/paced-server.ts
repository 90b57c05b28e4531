/** An HTTP/1.1 server of a test whose connections are paced, as those of the control plane are. */
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { PacedConnection } from "../../src/control/connections/paced-connection.ts";
import { Turns } from "../../src/control/connections/turns.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { next } from "./events.ts";

export interface PacedServer extends AsyncDisposable {
  readonly port: number;
  /** Requests that have been parsed so far, whether or not they have been served. */
  readonly parsed: () => number;
}

export async function startPacedServer(
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<PacedServer> {
  const turns = new Turns();
  const connections = new WeakMap<object, PacedConnection>();
  const sockets = new Set<net.Socket>();
  let parsed = 0;
  const server = http.createServer();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {}); // permanent
    connections.set(socket, new PacedConnection(socket, turns));
  });
  server.on("request", (request, response) => {
    parsed += 1;
    connections.get(request.socket)?.add(request, response, () => serve(request, response));
  });
  server.listen(0, "127.0.0.1");
  await next(server, "listening");
  const close = closedAtTheEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await next(server, "close");
  });
  return {
    port: (server.address() as AddressInfo).port,
    parsed: () => parsed,
    [Symbol.asyncDispose]: close,
  };
}
