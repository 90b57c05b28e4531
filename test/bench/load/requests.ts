/**
 * Closed-loop HTTP/1.1 on kept-alive connections: each sends its next request when the response to the last is complete.
 * The parser knows a status line and Content-Length, and nothing else.
 */
import type net from "node:net";
import { percentile } from "../statistics.ts";
import type { Route } from "./route.ts";
import { openRoute } from "./route.ts";

export interface RequestOptions extends Route {
  connections: number;
  path: string;
  /** Bearer token of the request itself. */
  token?: string;
  /** Rest between a response and the next request. Default none: as fast as it goes. */
  pauseMs?: number;
}

export interface RequestResult {
  requests: number;
  perS: number;
  p50Ms: number;
  p99Ms: number;
}

export class RequestLoad {
  readonly #clients: Client[];

  private constructor(clients: Client[]) {
    this.#clients = clients;
  }

  static async open(options: RequestOptions): Promise<RequestLoad> {
    const sockets = await Promise.all(Array.from({ length: options.connections }, () => openRoute(options)));
    return new RequestLoad(sockets.map((socket) => new Client(socket, options)));
  }

  /** @throws Error if a connection fails or a response is not 200 */
  async run(durationMs: number): Promise<RequestResult> {
    const startedAt = performance.now();
    const times = (
      await Promise.all(this.#clients.map((client) => client.run(startedAt + durationMs)))
    ).flat();
    const elapsedMs = performance.now() - startedAt;
    return {
      requests: times.length,
      perS: (times.length * 1_000) / elapsedMs,
      p50Ms: percentile(times, 0.5),
      p99Ms: percentile(times, 0.99),
    };
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

class Client {
  readonly #socket: net.Socket;
  readonly #request: Buffer;
  readonly #pauseMs: number;
  #rest: Buffer = Buffer.alloc(0);
  #responded: () => void = () => {};
  #fail: (error: Error) => void = () => {};

  constructor(socket: net.Socket, { path, token, pauseMs }: RequestOptions) {
    this.#socket = socket;
    this.#pauseMs = pauseMs ?? 0;
    const authorization = token === undefined ? "" : `Authorization: Bearer ${token}\r\n`;
    this.#request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: echo.bench\r\n${authorization}\r\n`);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("a connection of the generator has closed")));
  }

  /** Resolves to the milliseconds that each request took. */
  run(untilMs: number): Promise<number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    const times: number[] = [];
    let sentAt = 0;
    const send = () => {
      sentAt = performance.now();
      this.#socket.write(this.#request);
    };
    this.#fail = reject;
    this.#responded = () => {
      const now = performance.now();
      times.push(now - sentAt);
      if (now >= untilMs) resolve(times);
      else if (this.#pauseMs > 0) setTimeout(send, this.#pauseMs);
      else send();
    };
    send();
    return promise;
  }

  close(): void {
    this.#fail = () => {};
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end >= 0) {
      const head = bytes.toString("latin1", 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
        return this.#fail(new Error(`unexpected response: ${head}`));
      }
      if (bytes.length >= end + 4 + Number(length)) {
        this.#rest = bytes.subarray(end + 4 + Number(length));
        return this.#responded();
      }
    }
    this.#rest = bytes;
  }
}
