/** What stands in front of a control plane: proxies that pass some upgrades, terminate TLS, or answer by themselves. */
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import type { Duplex } from "node:stream";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import type { Credential } from "./pki.ts";

export interface Front extends AsyncDisposable {
  readonly port: number;
  /** `Upgrade` tokens that have come by, in order; `-` for a request without one. */
  readonly upgrades: EventLog<string>;
  close(): Promise<void>;
}

/** `refuse`: 400 at once. `swallow`: never answers, as some frontends do. `drop`: passes the request without it. */
export type UnknownUpgrade = "refuse" | "swallow" | "drop" | "close";

/** An HTTP/1.1 proxy that passes WebSockets and nothing else that upgrades. */
export async function startWebSocketOnlyFront(toPort: number, unknown: UnknownUpgrade): Promise<Front> {
  const upgrades = new EventLog<string>();
  const server = http.createServer((_request, response) => void response.writeHead(404).end("no such page"));
  server.on("upgrade", (request, socket, head) => {
    const token = request.headers.upgrade ?? "-";
    upgrades.push(token);
    socket.on("error", () => {}); // for ever
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

/** TLS in, plaintext out, as a load balancer does. `alpn` undefined: it does not know the extension. */
export async function startTlsTerminator(
  toPort: number,
  credential: Credential,
  alpn?: readonly string[],
): Promise<Front> {
  const server = tls.createServer(
    { ...credential, ...(alpn !== undefined && { ALPNProtocols: [...alpn] }) },
    (socket) => join(socket, net.connect(toPort, "127.0.0.1")),
  );
  server.on("tlsClientError", () => {});
  return listen(server);
}

/** Passes bytes on, and writes into the first request from whom it is: 203.0.113.9. */
export async function startForwardingFront(toPort: number): Promise<Front> {
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

/** Passes bytes on, behind a PROXY header. */
export async function startProxyProtocolFront(toPort: number, header: string): Promise<Front> {
  const server = net.createServer((socket) => {
    const upstream = net.connect({ port: toPort, host: "127.0.0.1", noDelay: true });
    for (const byte of Buffer.from(header, "latin1")) upstream.write(Buffer.from([byte]));
    join(socket, upstream);
  });
  return listen(server);
}

/** A server of somebody else: whatever it is asked, it gives this answer. */
export async function startStranger(
  status: number,
  body: string,
  headers: http.OutgoingHttpHeaders = {},
): Promise<Front> {
  const upgrades = new EventLog<string>();
  const server = http.createServer((request, response) => {
    upgrades.push(request.headers.upgrade ?? "-");
    response.writeHead(status, { connection: "close", ...headers }).end(body);
  });
  return listen(server, upgrades);
}

/** Both ways until either ends. */
export function join(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on("error", () => {}); // for ever
    from.once("close", () => to.destroy());
    from.pipe(to);
  }
}

export async function listen(
  server: net.Server,
  upgrades: EventLog<string> = new EventLog(),
  host = "127.0.0.1",
): Promise<Front> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // for ever
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
