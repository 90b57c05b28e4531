/**
 * RFC 8441 for the ws library, which speaks only HTTP/1.1: a socket that takes ws's Upgrade request, sends it as
 * Extended CONNECT on an HTTP/2 session, and gives the response back as HTTP/1.1. Frames pass as bytes.
 */
import { createHash } from "node:crypto";
import { STATUS_CODES } from "node:http";
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { Duplex } from "node:stream";

const NOT_ON_HTTP2 = new Set(["connection", "upgrade", "host", "sec-websocket-key"]);

export class ExtendedConnectSocket extends Duplex {
  readonly #session: ClientHttp2Session;
  #head = "";
  #stream: ClientHttp2Stream | undefined;

  constructor(session: ClientHttp2Session) {
    super({ allowHalfOpen: true });
    this.#session = session;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#stream !== undefined) return void this.#stream.write(chunk, callback);
    this.#head += chunk.toString("latin1");
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return callback();
    const early = Buffer.from(this.#head.slice(end + 4), "latin1");
    const stream = this.#open(this.#head.slice(0, end).split("\r\n"));
    this.#stream = stream;
    if (early.length === 0) callback();
    else stream.write(early, callback);
  }

  #open([requestLine = "", ...lines]: string[]): ClientHttp2Stream {
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const key = fields.find(([name]) => name === "sec-websocket-key")?.[1] ?? "";
    const stream = this.#session.request({
      ...Object.fromEntries(fields.filter(([name]) => !NOT_ON_HTTP2.has(name))),
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": requestLine.split(" ")[1] ?? "/",
    });
    stream.on("response", ({ ":status": status = 0, ...headers }) => {
      const opened = status === 200;
      const response = [
        `HTTP/1.1 ${opened ? 101 : status} ${STATUS_CODES[opened ? 101 : status] ?? "Other"}`,
        ...(opened
          ? ["Connection: Upgrade", "Upgrade: websocket", `Sec-WebSocket-Accept: ${acceptKey(key)}`]
          : ["Connection: close"]),
        // A proxy may pass on the one of its own HTTP/1.1 hop; over HTTP/2 nobody looks at it.
        ...Object.entries(headers)
          .filter(([name]) => name !== "sec-websocket-accept")
          .map(([name, value]) => `${name}: ${String(value)}`),
      ];
      this.push(Buffer.from(`${response.join("\r\n")}\r\n\r\n`, "latin1"));
      stream.on("data", (data: Buffer) => {
        if (!this.push(data)) stream.pause();
      });
    });
    stream.on("end", () => setImmediate(() => this.#finish(stream)));
    stream.on("error", (error) => this.destroy(error)); // permanent
    stream.on("close", () => this.#finish(stream));
    return stream;
  }

  #finish(stream: ClientHttp2Stream): void {
    if (this.destroyed || this.readableEnded) return;
    if (stream.rstCode !== 0) this.destroy(new Error(`reset with code ${stream.rstCode}`));
    else this.push(null);
  }

  override _read(): void {
    this.#stream?.resume();
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#stream === undefined) callback();
    else this.#stream.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#stream !== undefined && !this.#stream.destroyed) {
      const finished = this.writableFinished && this.readableEnded;
      if (!finished) this.#stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    callback(error);
  }
}

/** RFC 6455 §4.2.2. */
export function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
