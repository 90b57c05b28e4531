/** Callers by WebSocket: HTTP/1.1 Upgrade and RFC 8441, on plaintext and on TLS. */
import http2 from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import type { CallerKind, CallerTo } from "./callers.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { ending, next, within } from "./events.ts";
import { ExtendedConnectSocket } from "./extended-connect.ts";
import { ADMIN_TOKEN } from "./system.ts";

export interface Message {
  data: Buffer;
  isBinary: boolean;
}

export interface Close {
  code: number;
  reason: string;
}

/** RFC 6455 §7.1.5: no close frame has come. */
export const NO_CLOSE_FRAME = 1006;

export interface WebSocketOptions extends ClientOptions {
  protocols?: string[];
}

/** One WebSocket, listened to from its very first byte. */
export class SocketCaller implements AsyncDisposable {
  readonly socket: WebSocket;
  readonly messages: EventLog<Message> = new EventLog();
  /** Pings and pongs that have come. */
  readonly controlFrames: string[] = [];
  readonly closed: Promise<Close>;
  readonly #session: ClientHttp2Session | undefined;
  #taken = 0;

  constructor(socket: WebSocket, session: ClientHttp2Session | undefined) {
    this.socket = socket;
    this.#session = session;
    closedAtTheEnd(() => this[Symbol.asyncDispose]());
    socket.on("error", () => {}); // permanent; 'close' follows
    socket.on("message", (data, isBinary) => this.messages.push({ data: data as Buffer, isBinary }));
    socket.on("ping", () => this.controlFrames.push("ping"));
    socket.on("pong", () => this.controlFrames.push("pong"));
    this.closed = new Promise((resolve) => {
      socket.once("close", (code: number, reason: Buffer) => resolve({ code, reason: reason.toString() }));
    });
  }

  /** Messages in their order, each once. */
  async message(): Promise<Message> {
    const from = this.#taken++;
    return this.messages.find(() => true, `message ${from + 1}`, { from });
  }

  async text(): Promise<string> {
    return (await this.message()).data.toString("utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await within(this.closed, "the WebSocket closed");
    if (this.#session === undefined || this.#session.destroyed) return;
    const closed = next(this.#session, "close");
    this.#session.destroy();
    await closed;
  }
}

/** Starts a handshake; it may yet be refused. */
export async function startWebSocket(
  kind: CallerKind,
  to: CallerTo,
  path: string,
  { protocols = [], ...options }: WebSocketOptions = {},
): Promise<SocketCaller> {
  const isTls = kind.endsWith("TLS");
  const origin = `${isTls ? "localhost" : "127.0.0.1"}:${to.controlPlane.port}`;
  const ca = to.pki === undefined ? {} : { ca: to.pki.ca };
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...options.headers };
  if (!kind.startsWith("HTTP/2")) {
    const socket = new WebSocket(`${isTls ? "wss" : "ws"}://${origin}${path}`, protocols, {
      ...ca,
      ...options,
      headers,
    });
    return new SocketCaller(socket, undefined);
  }
  const session = http2.connect(`${isTls ? "https" : "http"}://${origin}`, ca);
  session.on("error", () => {}); // permanent
  await next(session, "remoteSettings");
  const socket = new WebSocket(`ws://${origin}${path}`, protocols, {
    ...options,
    headers,
    createConnection: () => new ExtendedConnectSocket(session),
  });
  return new SocketCaller(socket, session);
}

export async function openWebSocket(
  kind: CallerKind,
  to: CallerTo,
  path: string,
  options?: WebSocketOptions,
): Promise<SocketCaller> {
  const caller = await startWebSocket(kind, to, path, options);
  await next(caller.socket, "open");
  return caller;
}

export interface Refusal {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

/** A handshake that must be refused: whoever is refused never sees a 101. */
export async function refusedWebSocket(
  kind: CallerKind,
  to: CallerTo,
  path: string,
  options?: WebSocketOptions,
): Promise<Refusal> {
  await using caller = await startWebSocket(kind, to, path, options);
  let isUpgraded = false;
  caller.socket.once("upgrade", () => (isUpgraded = true));
  const [, response] = await next<[unknown, IncomingMessage]>(caller.socket, "unexpected-response");
  const { kind: how, data } = await ending(response);
  if (isUpgraded || how !== "end") throw new Error(`refused after a 101, or with a broken body (${how})`);
  return { status: response.statusCode ?? 0, headers: response.headers, text: data.toString() };
}
