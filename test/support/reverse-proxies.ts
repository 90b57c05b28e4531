/** Reverse proxies for tests, which pass some upgrades, terminate TLS or name the client, and servers of strangers. */
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import type { Duplex } from "node:stream";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import type { Credential } from "./pki.ts";

export interface ReverseProxy extends AsyncDisposable {
  readonly port: number;
  /** `Upgrade` tokens of the requests, in order; `-` for a request without one. */
  readonly upgrades: EventLog<string>;
  close(): Promise<void>;
}

/**
 * `refuse`: 400 at once. `swallow`: no response, as some load balancers do. `drop`: passes the request on without the
 * upgrade. `close`: closes the connection after its own 101.
 */
export type UnknownUpgrade = "refuse" | "swallow" | "drop" | "close";

/** An HTTP/1.1 proxy that passes WebSockets, but no other upgrade. */
export async function startWebSocketOnlyProxy(
  toPort: number,
  unknown: UnknownUpgrade,
): Promise<ReverseProxy> {
  const upgrades = new EventLog<string>();
  const server = http.createServer((_request, response) => void response.writeHead(404).end("no such page"));
  server.on("upgrade", (request, socket, head) => {
    const token = request.headers.upgrade ?? "-";
    upgrades.push(token);
    socket.on("error", () => {}); // permanently
    if (token.toLowerCase() !== "websocket" && unknown !== "drop") {
      if (unknown === "swallow") return;
      if (unknown === "close") {
        return void socket.end(
          `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${token}\r\n\r\n`,
        );
      }
      const body = "this proxy knows no such upgrade";
      return void socket.end(
        `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    }
    const upstream = net.connect(toPort, "127.0.0.1");
    const dropped = token.toLowerCase() === "websocket" ? [] : ["upgrade", "connection"];
    const fields = request.rawHeaders.flatMap((name, i, raw) =>
      i % 2 === 0 && !dropped.includes(name.toLowerCase()) ? [`${name}: ${raw[i + 1]}`] : [],
    );
    upstream.write(`GET ${request.url} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`);
    if (head.length > 0) upstream.write(head);
    join(socket, upstream);
  });
  return listen(server, upgrades);
}

/** Terminates TLS, as a load balancer does. `alpn` undefined: without the ALPN extension. */
export async function startTlsTerminator(
  toPort: number,
  credential: Credential,
  alpn?: readonly string[],
): Promise<ReverseProxy> {
  const server = tls.createServer(
    { ...credential, ...(alpn !== undefined && { ALPNProtocols: [...alpn] }) },
    (socket) => join(socket, net.connect(toPort, "127.0.0.1")),
  );
  server.on("tlsClientError", () => {});
  return listen(server);
}

/** Passes bytes on, and adds `X-Forwarded-For: 203.0.113.9` to the first request. */
export async function startForwardingProxy(toPort: number): Promise<ReverseProxy> {
  const server = net.createServer((socket) => {
    const upstream = net.connect(toPort, "127.0.0.1");
    socket.once("data", (head: Buffer) => {
      upstream.write(
        head.toString("latin1").replace("\r\n", "\r\nX-Forwarded-For: 203.0.113.9\r\n"),
        "latin1",
      );
      join(socket, upstream);
    });
  });
  return listen(server);
}

/** Passes bytes on, after a PROXY header that is sent byte by byte. */
export async function startProxyProtocolProxy(toPort: number, header: string): Promise<ReverseProxy> {
  const server = net.createServer((socket) => {
    const upstream = net.connect({ port: toPort, host: "127.0.0.1", noDelay: true });
    for (const byte of Buffer.from(header, "latin1")) upstream.write(Buffer.from([byte]));
    join(socket, upstream);
  });
  return listen(server);
}

/** An unrelated server, which sends the same response to every request. */
export async function startStranger(
  status: number,
  body: string,
  headers: http.OutgoingHttpHeaders = {},
  onRequest: (received: http.IncomingHttpHeaders) => void = () => {},
): Promise<ReverseProxy> {
  const upgrades = new EventLog<string>();
  const server = http.createServer((request, response) => {
    onRequest(request.headers);
    upgrades.push(request.headers.upgrade ?? "-");
    response.writeHead(status, { connection: "close", ...headers }).end(body);
  });
  return listen(server, upgrades);
}

/** Joins two streams in both directions until either ends. */
export function join(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on("error", () => {}); // permanently
    from.once("close", () => to.destroy());
    from.pipe(to);
  }
}

export async function listen(
  server: net.Server,
  upgrades: EventLog<string> = new EventLog(),
  host = "127.0.0.1",
): Promise<ReverseProxy> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // permanently
    socket.once("close", () => sockets.delete(socket));
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, host, resolve);
  await promise;
  const close = closedAtTheEnd(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return {
    port: (server.address() as AddressInfo).port,
    upgrades,
    close,
    [Symbol.asyncDispose]: close,
  };
}
