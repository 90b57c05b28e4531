/** A session of Alice's, Moonlight Web's double behind a tap that sees every byte, and callers that send bare frames. */
import assert from "node:assert/strict";
import http from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex, Writable } from "node:stream";
import * as ws from "ws";
import { createMoonlightDouble } from "../../../src/demo/moonlight/double.ts";
import type { MoonlightDouble } from "../../../src/demo/moonlight/double.ts";
import type { HelixOptions } from "../../../src/helix/helix.ts";
import { EventLog } from "../../support/event-log.ts";
import { next, within } from "../../support/events.ts";
import { bodyOf } from "../../support/http.ts";
import { moonlightInit } from "../../support/moonlight-init.ts";
import { issueToken } from "../../support/api.ts";
import { newSession, startSessions } from "./sessions-stand.ts";
import type { SessionStand, SessionView } from "./sessions-stand.ts";

/** Exported by ws, but missing from its types. */
const { Receiver, Sender } = ws as unknown as {
  Receiver: new (options: { isServer: boolean }) => Writable;
  Sender: { frame(data: Buffer, options: object): Buffer[] };
};

/** Chosen so that a scan of bytes cannot find it by accident. */
export const SECRET = "moonlight-shared-secret-5d1f";

export interface Tap extends AsyncDisposable {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  /** What has gone to the service, over all connections. */
  toService(): Buffer;
}

/** Relays to a port of this machine and keeps what passes. */
export async function openTap(toPort: number): Promise<Tap> {
  const seen: Buffer[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = net.createServer({ allowHalfOpen: true }, (caller) => {
    connections += 1;
    const service = net.connect({ port: toPort, host: "127.0.0.1", allowHalfOpen: true });
    caller.on("data", (chunk: Buffer) => seen.push(chunk));
    for (const [from, to] of [
      [caller, service],
      [service, caller],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {}); // permanent
      from.pipe(to);
      from.once("close", () => {
        sockets.delete(from);
        if (!from.readableEnded || from.errored !== null) to.destroy();
      });
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    toService: () => Buffer.concat(seen),
    [Symbol.asyncDispose]: async () => {
      const closed = next(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface MoonlightStand extends AsyncDisposable {
  readonly sessions: SessionStand;
  readonly url: string;
  readonly moonlight: MoonlightDouble;
  readonly tap: Tap;
  readonly alice: string;
  readonly bob: string;
  readonly session: SessionView;
  /** Path of the signalling WebSocket. */
  readonly path: string;
  /** Another session of Alice's: WebSockets of one are not to come too fast. */
  another(): Promise<SessionView>;
  /** Streams to Moonlight that its agent has been requested to open. */
  streams(): Promise<number>;
}

export async function startMoonlight(
  options: {
    /** In place of the double: a service on this port. */
    port?: number;
    helix?: HelixOptions;
  } = {},
): Promise<MoonlightStand> {
  const stack = new AsyncDisposableStack();
  const moonlight = stack.use(await createMoonlightDouble({ credentials: SECRET, pairDelayMs: 60_000 }));
  const tap = stack.use(await openTap(options.port ?? moonlight.port));
  const sessions = stack.use(
    await startSessions({ helix: { moonlightCredentials: SECRET, ...options.helix } }),
  );
  const { url, system } = sessions;
  await system.addAgent({ "moonlight-a": { moonlight: `127.0.0.1:${tap.port}` } });
  const alice = await issueToken(url, { id: "alice", kind: "user" });
  const bob = await issueToken(url, { id: "bob", kind: "user" });
  const session = await newSession(url, {}, alice);
  return {
    sessions,
    url,
    moonlight,
    tap,
    alice,
    bob,
    session,
    path: `/api/v1/stream/${session.id}`,
    another: () => newSession(url, {}, alice),
    streams: async () => {
      const view = system.controlPlane.runners().find(({ id }) => id === "moonlight-a");
      const connection = view?.connections[0] ?? assert.fail("no connection");
      const stream = connection.http2Session.request({
        ":method": "GET",
        ":path": "/metrics",
        ":scheme": "http",
        ":authority": "agent",
      });
      let text = "";
      stream.setEncoding("utf8");
      for await (const chunk of stream) text += chunk as string;
      return [...text.matchAll(/^turnabout_agent_streams_(?:open|total\{target="moonlight".*\}) (\d+)$/gm)]
        .map(([, count]) => Number(count))
        .reduce((sum, count) => sum + count, 0);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export type SocketKind = "HTTP/1.1 Upgrade" | "RFC 8441";
export const SOCKET_KINDS: readonly SocketKind[] = ["HTTP/1.1 Upgrade", "RFC 8441"];

/** One caller's WebSocket, byte by byte. */
export interface BareSocket extends AsyncDisposable {
  /** 101 or, by RFC 8441, 200; else the refusal's. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of a refusal. */
  readonly body: string;
  readonly stream: Duplex;
  /** Every byte that has come, the header's fields included. */
  received(): Buffer;
  /** Text messages, parsed. */
  readonly messages: EventLog<unknown>;
  readonly pings: EventLog<Buffer>;
  /** The close frame that came; undefined if the end came without one. */
  readonly closed: Promise<{ code: number; reason: string } | undefined>;
  /** How the transport ended: properly, or by a reset. */
  readonly ended: Promise<"end" | "reset">;
  send(text: string): void;
  frame: (payload: string | Buffer, options?: FrameOptions) => Buffer;
  close(code: number, reason: string): void;
}

export interface FrameOptions {
  opcode?: number;
  fin?: boolean;
  mask?: boolean;
}

export interface OpenOptions {
  token?: string | null;
  headers?: Record<string, string>;
}

/** Waits for the response to the handshake, whatever it is. */
export async function openSocket(
  kind: SocketKind,
  url: string,
  path: string,
  { token, headers = {} }: OpenOptions = {},
): Promise<BareSocket> {
  const fields = {
    "sec-websocket-version": "13",
    ...(token !== undefined && token !== null && { authorization: `Bearer ${token}` }),
    ...headers,
  };
  return kind === "RFC 8441" ? openByStream(url, path, fields) : openByUpgrade(url, path, fields);
}

async function openByUpgrade(
  url: string,
  path: string,
  headers: Record<string, string>,
): Promise<BareSocket> {
  const request = http.request(`${url}${path}`, {
    agent: false,
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
  const { promise, resolve, reject } = Promise.withResolvers<BareSocket>();
  request.on("error", reject);
  request.on("upgrade", (response, socket, head) => {
    if (head.length > 0) socket.unshift(head);
    resolve(follow(socket, 101, response.headers, "", () => void socket.destroy()));
  });
  request.on("response", (response) => {
    bodyOf(response)
      .then((body) => {
        const { socket } = response;
        resolve(
          follow(socket, response.statusCode ?? 0, response.headers, body, () => void socket.destroy()),
        );
      })
      .catch(reject);
  });
  request.end();
  return within(promise, `a response to the handshake at ${path}`);
}

async function openByStream(url: string, path: string, headers: Record<string, string>): Promise<BareSocket> {
  const session = http2.connect(url);
  session.on("error", () => {}); // permanent
  await next(session, "remoteSettings");
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":authority": new URL(url).host,
    ":path": path,
    ...headers,
  });
  stream.on("error", () => {}); // permanent
  const [fields] = await next<[http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]>(
    stream,
    "response",
  );
  const status = fields[":status"] ?? 0;
  let body = "";
  if (status !== 200) for await (const chunk of stream) body += String(chunk);
  return follow(stream, status, fields, body, () => session.destroy());
}

function follow(
  stream: Duplex,
  status: number,
  headers: IncomingHttpHeaders,
  body: string,
  end: () => void,
): BareSocket {
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  const seen: Buffer[] = [Buffer.from(head.join("") + body)];
  const receiver = new Receiver({ isServer: false });
  const messages = new EventLog<unknown>();
  const pings = new EventLog<Buffer>();
  const closed = Promise.withResolvers<{ code: number; reason: string } | undefined>();
  const ended = Promise.withResolvers<"end" | "reset">();
  receiver.on("message", (data: Buffer) => messages.push(JSON.parse(data.toString("utf8"))));
  receiver.on("ping", pings.push);
  receiver.on("error", () => {}); // what is cut in a frame
  receiver.on("conclude", (code: number, reason: Buffer) => {
    closed.resolve({ code, reason: reason.toString("utf8") });
  });
  stream.on("error", () => {}); // permanent
  stream.on("data", (chunk: Buffer) => {
    seen.push(chunk);
    receiver.write(chunk);
  });
  stream.on("end", () => {
    stream.end(); // as a socket without half-close does
  });
  stream.on("close", () => {
    const rst = (stream as Partial<http2.ClientHttp2Stream>).rstCode ?? 0;
    ended.resolve(stream.readableEnded && rst === 0 ? "end" : "reset");
    closed.resolve(undefined);
  });
  const frame = (
    payload: string | Buffer,
    { opcode = 1, fin = true, mask = true }: FrameOptions = {},
  ): Buffer =>
    Buffer.concat(Sender.frame(Buffer.from(payload), { opcode, fin, mask, readOnly: false, rsv1: false }));
  return {
    status,
    headers,
    body,
    stream,
    received: () => Buffer.concat(seen),
    messages,
    pings,
    closed: within(closed.promise, "the end of the WebSocket"),
    ended: within(ended.promise, "the end of the connection"),
    send: (text) => void stream.write(frame(text)),
    frame,
    close: (code, reason) => {
      const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
      payload.writeUInt16BE(code);
      payload.write(reason, 2);
      stream.write(frame(payload, { opcode: 8 }));
    },
    [Symbol.asyncDispose]: async () => {
      end();
      if (!stream.closed) await next(stream, "close");
    },
  };
}

/** What a browser sends first; its credentials are none that Moonlight knows. */
export function init(session: string, more: object = {}): string {
  return JSON.stringify({
    AuthenticateAndInit: { ...moonlightInit("credentials-of-the-browser", session), ...more },
  });
}

/** Moonlight has opened the stream, and waits for an offer. */
export function isOpened(message: unknown): boolean {
  return typeof message === "object" && message !== null && "WebRtcConfig" in message;
}
