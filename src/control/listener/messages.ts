/** Requests and responses of callers, on HTTP/1.1 or HTTP/2, and the handlers that take them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

export type AnyRequest = IncomingMessage | Http2ServerRequest;
export type AnyResponse = ServerResponse | Http2ServerResponse;

/** What a port calls for each message; a handler that throws or rejects fails its own exchange only. */
export interface PortHandlers {
  request: (request: AnyRequest, response: AnyResponse) => void | Promise<void>;
  /** HTTP/1.1 `Upgrade`; the handler owns the socket. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void | Promise<void>;
  /** A further upgrade token, with which other nodes of a cluster connect. Default: there is none. */
  peerToken?: string | undefined;
  /** HTTP/1.1 `CONNECT`; the handler owns the socket. */
  connect: (request: IncomingMessage, socket: Duplex, head: Buffer) => void | Promise<void>;
  /** HTTP/2 `CONNECT`, extended or not. */
  connectStream: (request: Http2ServerRequest, response: Http2ServerResponse) => void | Promise<void>;
  /** A TLS connection whose ALPN makes it a tunnel connection from its first byte. */
  reversed: (socket: TLSSocket) => void | Promise<void>;
}

/** The request says that a body follows. */
export function hasBody(request: AnyRequest): boolean {
  return "stream" in request ? !request.stream.endAfterHeaders : hasBodyFields(request);
}

/** Its fields say so: on HTTP/2 a body needs none. */
export function hasBodyFields({ headers }: AnyRequest): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/** Bytes of the body that have arrived and are not read yet. */
export function bufferedBytes(request: AnyRequest): number {
  return request.readableLength + ("stream" in request ? request.stream.readableLength : 0);
}
