/** Bytes as a test says, and what comes back: for requests that no well-behaved client sends. */
import net from "node:net";
import type { Socket } from "node:net";
import tls from "node:tls";
import { ending, next } from "./events.ts";

export interface RawExchange {
  /** Statuses of all responses, in their order; empty if the connection was closed without one. */
  statuses: number[];
  text: string;
}

export interface RawOptions {
  /** Address to send from. Default 127.0.0.1. */
  from?: string;
  /** PEM: over TLS, to `localhost`. */
  ca?: string | undefined;
}

/** A connection to the control plane's port, which may be half-closed. */
export async function connectRaw(port: number, { from = "127.0.0.1", ca }: RawOptions = {}): Promise<Socket> {
  const to = { port, host: "127.0.0.1", localAddress: from, allowHalfOpen: true, noDelay: true };
  const socket = ca === undefined ? net.connect(to) : tls.connect({ ...to, ca, servername: "localhost" });
  socket.on("error", () => {}); // permanent
  await next(socket, ca === undefined ? "connect" : "secureConnect");
  return socket;
}

/** Sends the bytes and reads until the other end closes, in whatever way. */
export async function exchangeRaw(
  port: number,
  bytes: string | Buffer,
  { from = "127.0.0.1", ca }: RawOptions = {},
): Promise<RawExchange> {
  const socket = await connectRaw(port, { from, ca });
  socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  const { data: response } = await ending(socket);
  socket.destroy();
  const text = response.toString("latin1");
  const statuses = [...text.matchAll(/(?:^|\n|(?<=[^\r\n]))HTTP\/1\.[01] (\d{3})/g)].map(([, status]) =>
    Number(status),
  );
  return { statuses, text };
}

/** A field of an HTTP/2 header block, without any of HPACK's checks or its compression. */
function literal([name, value]: readonly [string, string]): Buffer {
  const text = (item: string): Buffer => {
    const bytes = Buffer.from(item, "latin1");
    if (bytes.length > 126) throw new Error("too long for this encoder");
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  };
  return Buffer.concat([Buffer.from([0x00]), text(name), text(value)]);
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const GOAWAY = 7;
const END_STREAM_AND_HEADERS = 5;
/** The statuses that HPACK's static table has. */
const STATUS_BY_INDEX: Readonly<Record<number, string>> = {
  0x88: "200",
  0x89: "204",
  0x8c: "400",
  0x8d: "404",
  0x8e: "500",
};

/** One HTTP/2 request of exactly these fields. `400`, `reset 1`, `goaway 1`: RFC 9113's error codes. */
export async function exchangeHttp2(
  port: number,
  fields: readonly (readonly [string, string])[],
  { from = "127.0.0.1" }: RawOptions = {},
): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1", localAddress: from });
  socket.on("error", () => {}); // permanent
  await next(socket, "connect");
  const block = Buffer.concat(fields.map(literal));
  socket.write(
    Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      frame(SETTINGS, 0, 0, Buffer.alloc(0)),
      frame(HEADERS, END_STREAM_AND_HEADERS, 1, block),
    ]),
  );
  try {
    let seen: Buffer = Buffer.alloc(0);
    for (;;) {
      while (seen.length >= 9 && seen.length >= 9 + seen.readUIntBE(0, 3)) {
        const length = seen.readUIntBE(0, 3);
        const payload = seen.subarray(9, 9 + length);
        const type = seen.readUInt8(3);
        if (type === HEADERS) return STATUS_BY_INDEX[payload[0] ?? 0] ?? "another status";
        if (type === RST_STREAM) return `reset ${payload.readUInt32BE(0)}`;
        if (type === GOAWAY) return `goaway ${payload.readUInt32BE(4)}`;
        seen = seen.subarray(9 + length);
      }
      const [chunk] = await next<[Buffer]>(socket, "data");
      seen = Buffer.concat([seen, chunk]);
    }
  } finally {
    socket.destroy();
  }
}
