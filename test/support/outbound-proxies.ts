/** Corporate proxies that accept CONNECT: tinyproxy, and small ones of ours for what it does not speak. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import type { Duplex } from "node:stream";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { within } from "./events.ts";
import { join, listen } from "./reverse-proxies.ts";
import type { Credential } from "./pki.ts";
import { refusingAddress } from "./target.ts";
import { tempPath } from "./temp.ts";

export interface ConnectRecord {
  authority: string;
  authorization: string | undefined;
}

export interface ConnectProxy extends AsyncDisposable {
  readonly port: number;
  readonly connects: EventLog<ConnectRecord>;
}

export interface ConnectProxyOptions {
  /** TLS to the proxy itself. */
  credential?: Credential | undefined;
  /** `user:password`; without it everybody may pass. */
  login?: string;
  /** Where every CONNECT really goes, whatever its authority: names need no DNS then. */
  toPort?: number | undefined;
}

/** HTTP/1.1, plain or on TLS. */
export async function startConnectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const connects = new EventLog<ConnectRecord>();
  const server =
    options.credential === undefined ? http.createServer() : https.createServer(options.credential);
  server.on("connect", (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {}); // permanent
    const authority = request.url ?? "";
    const authorization = request.headers["proxy-authorization"];
    connects.push({ authority, authorization });
    if (!allowed(authorization, options.login)) {
      return void socket.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    }
    const upstream = dial(authority, options.toPort);
    upstream.once("connect", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) upstream.write(head);
      join(socket, upstream);
    });
    upstream.once("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"));
  });
  return Object.assign(await listen(server), { connects });
}

/** HTTP/2 on TLS, and nothing else. */
export async function startHttp2ConnectProxy(
  credential: Credential,
  options: Omit<ConnectProxyOptions, "credential"> = {},
): Promise<ConnectProxy> {
  const connects = new EventLog<ConnectRecord>();
  const server = http2.createSecureServer({ ...credential, allowHTTP1: false });
  const sessions = new Set<http2.Http2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {}); // permanent
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    stream.on("error", () => {}); // permanent
    const authority = headers[":authority"] ?? "";
    const authorization = headers["proxy-authorization"];
    connects.push({ authority, authorization });
    if (headers[":method"] !== "CONNECT") return stream.respond({ ":status": 405 }, { endStream: true });
    if (!allowed(authorization, options.login)) {
      return stream.respond({ ":status": 407 }, { endStream: true });
    }
    const upstream = dial(authority, options.toPort);
    upstream.once("connect", () => {
      stream.respond({ ":status": 200 });
      join(stream, upstream);
    });
    upstream.once("error", () => stream.close(http2.constants.NGHTTP2_CONNECT_ERROR));
  });
  const proxy = await listen(server);
  const close = closedAtTheEnd(async () => {
    for (const session of sessions) session.destroy();
    await proxy.close();
  });
  return { port: proxy.port, connects, [Symbol.asyncDispose]: close };
}

/** The real thing. Its log says what it let through. */
export async function startTinyproxy(
  login?: string,
): Promise<ConnectProxy & { readonly log: EventLog<string> }> {
  const port = Number((await refusingAddress()).split(":").at(-1));
  const [user, password] = login?.split(":") ?? [];
  const lines = [`Port ${port}`, "Listen 127.0.0.1", "Timeout 600", "MaxClients 50", "LogLevel Info"];
  if (user !== undefined) lines.push(`BasicAuth ${user} ${password}`);
  const file = tempPath(".conf");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const child = spawn("tinyproxy", ["-d", "-c", file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/usr/bin` },
  });
  const log = new EventLog<string>();
  const connects = new EventLog<ConnectRecord>();
  const follow = (chunk: Buffer): void => {
    for (const line of chunk.toString("utf8").split("\n")) {
      if (line !== "") log.push(line);
      const authority = /CONNECT (\S+) HTTP/.exec(line)?.[1];
      if (authority !== undefined) connects.push({ authority, authorization: undefined });
    }
  };
  child.stdout.on("data", follow);
  child.stderr.on("data", follow);
  const closed = new Promise((resolve) => child.once("close", resolve));
  const close = closedAtTheEnd(async () => {
    child.kill("SIGKILL");
    await within(closed, "the end of tinyproxy");
  });
  await log.find((line) => line.includes("Accepting connections"), "tinyproxy's readiness");
  return {
    port,
    connects,
    log,
    [Symbol.asyncDispose]: close,
  };
}

function allowed(authorization: string | undefined, login: string | undefined): boolean {
  return login === undefined || authorization === `Basic ${Buffer.from(login).toString("base64")}`;
}

function dial(authority: string, toPort: number | undefined): net.Socket {
  const url = new URL(`http://${authority}`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return toPort === undefined
    ? net.connect(Number(authority.split(":").at(-1)), host)
    : net.connect(toPort, "127.0.0.1");
}
