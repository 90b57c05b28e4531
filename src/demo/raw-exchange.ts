/** Sends raw bytes and collects the response: for tests of responses that no HTTP library would send. */
import { connect } from "node:net";
import type { NetConnectOpts, Socket } from "node:net";

/** Far above what a test of quirks receives. */
const MAX_RESPONSE_BYTES: number = 64 * 1024 * 1024;

export interface RawResponse {
  /** `HTTP/1.0 200 OK`; empty if the connection ended without a byte. */
  statusLine: string;
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>;
  body: Buffer;
}

/** Resolves when the peer has closed. We close only then, so that a peer that does not close shows as a hang. */
export async function rawExchange(to: NetConnectOpts, request: string | Buffer): Promise<RawResponse> {
  const socket = await openSocket(to);
  socket.write(request);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_RESPONSE_BYTES) throw new Error(`more than ${MAX_RESPONSE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return parseResponse(Buffer.concat(chunks));
}

export function openSocket(to: NetConnectOpts): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(to);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      // From here on a failure shows as the end of the stream.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

/** Reads until the text appears. @returns all that was read */
export function readUntil(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = "";
    const settle = (): void => {
      socket.off("data", onData);
      socket.off("close", onClose);
    };
    const onData = (chunk: Buffer): void => {
      seen += chunk.toString("latin1");
      if (!seen.includes(text)) return;
      settle();
      resolve(seen);
    };
    const onClose = (): void => {
      settle();
      reject(new Error(`closed before ${JSON.stringify(text)}; got ${JSON.stringify(seen)}`));
    };
    socket.on("data", onData);
    socket.on("close", onClose);
  });
}

function parseResponse(bytes: Buffer): RawResponse {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return { statusLine: bytes.toString("latin1"), headers: new Map(), body: Buffer.alloc(0) };
  const [statusLine = "", ...fields] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = new Map(
    fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const;
    }),
  );
  return { statusLine, headers, body: bytes.subarray(end + 4) };
}
