/** The sandbox server in this process, and how the tests talk to it. */
import { once } from "node:events";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { ClientOptions, RawData } from "ws";
import { startSandboxServer } from "../../agents/sandbox/server/server.ts";
import type { SandboxServer, SandboxServerOptions } from "../../agents/sandbox/server/server.ts";
import { within } from "../support/events.ts";

export interface TestServer extends AsyncDisposable {
  readonly server: SandboxServer;
  readonly incomingFolder: string;
  /** Each request on a connection of its own, so that none is left. */
  request(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, body: unknown): Promise<Response>;
  connect(path: string, options?: ClientOptions): Promise<Client>;
}

export interface Client {
  readonly socket: WebSocket;
  /** The next message that has not been taken. */
  message(): Promise<string>;
  /** Code and reason of the end. */
  readonly closed: Promise<{ code: number; reason: string }>;
}

export async function startServer(
  options: Partial<SandboxServerOptions> & Pick<SandboxServerOptions, "runtimeFolder">,
): Promise<TestServer> {
  const incomingFolder = options.incomingFolder ?? join(options.runtimeFolder, "incoming");
  const server = await startSandboxServer({ port: 0, host: "127.0.0.1", incomingFolder, ...options });
  const origin = `127.0.0.1:${server.port}`;
  const request = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set("connection", "close");
    return fetch(`http://${origin}${path}`, { ...init, headers });
  };
  return {
    server,
    incomingFolder,
    request,
    post: (path, body) =>
      request(path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    connect: (path, clientOptions) => connect(`ws://${origin}${path}`, clientOptions),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

async function connect(url: string, options: ClientOptions = {}): Promise<Client> {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0, ...options });
  const messages: string[] = [];
  const waiting: ((message: string) => void)[] = [];
  socket.on("message", (data: RawData) => {
    const text = Buffer.isBuffer(data) ? data.toString("utf8") : "";
    const taker = waiting.shift();
    if (taker === undefined) messages.push(text);
    else taker(text);
  });
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>();
  socket.on("close", (code: number, reason: Buffer) => resolve({ code, reason: reason.toString("utf8") }));
  socket.on("error", () => {});
  await within(once(socket, "open"), "a WebSocket");
  const message = (): Promise<string> => {
    const first = messages.shift();
    if (first !== undefined) return Promise.resolve(first);
    return within(new Promise((taker) => void waiting.push(taker)), "a message");
  };
  return { socket, message, closed };
}
