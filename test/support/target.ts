/** A private service: what an agent reaches. TCP on a free port, or a Unix socket. */
import http from "node:http";
import http2 from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { TargetAddress } from "../../src/agent/targets/targets.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { tempPath } from "./temp.ts";

export interface TestTarget extends AsyncDisposable {
  /** As in the agent's options: `127.0.0.1:PORT` or `unix:/path`. */
  readonly address: string;
  readonly parsed: TargetAddress;
  readonly server: net.Server;
  /** Connections that are open at this moment. */
  readonly sockets: ReadonlySet<Socket>;
  /** The connection that comes next, or has come and not been taken yet. */
  accepted(): Promise<Socket>;
  close(): Promise<void>;
}

export interface TargetOptions {
  on?: "tcp" | "unix";
}

/** `onSocket` gets every connection; errors of the sockets never end the test process. */
export async function startTarget(
  onSocket: (socket: Socket) => void = () => {},
  { on = "tcp" }: TargetOptions = {},
): Promise<TestTarget> {
  return track(net.createServer({ allowHalfOpen: true }, onSocket), on);
}

/** Sends back what it gets, and its end too. */
export async function startEchoTarget(options: TargetOptions = {}): Promise<TestTarget> {
  return startTarget((socket) => void socket.pipe(socket), options);
}

export async function startHttpTarget(
  listener: http.RequestListener,
  { on = "tcp" }: TargetOptions = {},
): Promise<TestTarget & { readonly http: http.Server }> {
  const server = http.createServer(listener);
  return Object.assign(await track(server, on), { http: server });
}

/** Speaks HTTP/2 with prior knowledge, and nothing else. `onStream` gets every stream. */
export async function startHttp2Target(
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]) => void,
  { settings = {} }: { settings?: http2.Settings } = {},
): Promise<Http2TestTarget> {
  const server = http2.createServer({ settings });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {}); // permanent
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: ServerHttp2Stream, headers, _flags, raw) => {
    stream.on("error", () => {}); // permanent
    onStream(stream, headers, raw);
  });
  return Object.assign(await track(server, "tcp"), { sessions });
}

export interface Http2TestTarget extends TestTarget {
  readonly sessions: ReadonlySet<ServerHttp2Session>;
}

/** An address at which nothing listens, for as long as the port is not given out again. */
export async function refusingAddress(on: "tcp" | "unix" = "tcp"): Promise<string> {
  if (on === "unix") return `unix:${tempPath()}`;
  const target = await startTarget();
  await target.close();
  return target.address;
}

async function track(server: net.Server, on: "tcp" | "unix"): Promise<TestTarget> {
  const sockets = new Set<Socket>();
  const arrived: Socket[] = [];
  const waiting: ((socket: Socket) => void)[] = [];
  server.prependListener("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // permanent
    socket.once("close", () => sockets.delete(socket));
    const taker = waiting.shift();
    if (taker === undefined) arrived.push(socket);
    else taker(socket);
  });
  const path = tempPath();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  if (on === "unix") server.listen(path, resolve);
  else server.listen(0, "127.0.0.1", resolve);
  await promise;
  const port = on === "unix" ? 0 : (server.address() as AddressInfo).port;
  const close = closedAtTheEnd(async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
    await promise;
  });
  return {
    address: on === "unix" ? `unix:${path}` : `127.0.0.1:${port}`,
    parsed: on === "unix" ? { kind: "unix", path } : { kind: "tcp", host: "127.0.0.1", port },
    server,
    sockets,
    accepted: () => {
      const first = arrived.shift();
      if (first !== undefined) return Promise.resolve(first);
      return new Promise((resolve) => void waiting.push(resolve));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
