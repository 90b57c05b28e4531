/** What the port does with callers' connections so that none takes more than its share: the parts of this room together. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2Server, Http2ServerRequest, Http2ServerResponse, Http2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../../wire/log.ts";
import { Http2Callers } from "./http2-callers.ts";
import { NewConnections } from "./new-connections.ts";
import { PacedConnection } from "./paced-connection.ts";
import { SlowBodies } from "./slow-bodies.ts";
import type { SlowBodiesParts } from "./slow-bodies.ts";
import { Turns } from "./turns.ts";

export interface CallerConnectionsParts {
  /** Limits its lines. */
  log: Pick<Logger, "warn">;
  /** See {@link SlowBodiesParts}. */
  refuseBody: SlowBodiesParts["refuse"];
  dropBody: SlowBodiesParts["drop"];
}

const PACED = Symbol("paced connection");

/** Not in a WeakMap: see `OpenList`. */
type Paced = Socket & { [PACED]?: PacedConnection };

export class CallerConnections {
  readonly #new = new NewConnections();
  readonly #turns = new Turns();
  readonly #http2: Http2Callers;
  readonly #bodies: SlowBodies;

  constructor({ log, refuseBody, dropBody }: CallerConnectionsParts) {
    this.#http2 = new Http2Callers({ log });
    this.#bodies = new SlowBodies({ refuse: refuseBody, drop: dropBody });
  }

  /** A connection has been accepted. @returns false if there is no place for it: it has been destroyed */
  accept(socket: Socket): boolean {
    return this.#new.add(socket);
  }

  /** Its PROXY header names the client. */
  belongsTo(socket: Socket, address: string): void {
    this.#new.belongsTo(socket, address);
  }

  /** It is a tunnel connection from its first byte. */
  becomesTunnel(socket: Socket): void {
    this.#new.done(socket);
  }

  /** Node's HTTP/1.1 server has taken a connection over. */
  paceHttp1(socket: Socket): void {
    (socket as Paced)[PACED] = new PacedConnection(socket, this.#turns);
  }

  /** Follows all connections of an HTTP/2 server. */
  followHttp2(server: Http2Server): void {
    let arriving: Socket | undefined;
    // Before node's own listener, which emits 'session'.
    server.prependListener("connection", (socket: Socket) => {
      arriving = socket;
    });
    server.on("session", (http2Session) => {
      const socket = arriving;
      if (socket === undefined) return;
      this.#http2.follow(http2Session, socket);
      http2Session.once("stream", () => this.#new.done(socket));
    });
  }

  /** Serves an HTTP/1.1 request when it is its turn. */
  serveHttp1(request: IncomingMessage, response: ServerResponse, serve: () => void): void {
    const { socket } = request;
    const paced = (socket as Paced)[PACED];
    if (paced?.isUsed !== true) this.#new.done(socket);
    if (hasBody(request)) this.#bodies.follow(request, response, () => socket.bytesRead);
    if (paced === undefined) serve();
    else paced.add(request, response, serve);
  }

  /** The connection becomes a tunnel, when earlier responses have been sent. */
  releaseHttp1(request: IncomingMessage): void {
    this.#new.done(request.socket);
    // With a body under way node still parses what arrives.
    if (request.complete) (request.socket as Paced)[PACED]?.release();
  }

  /** Serves a request or a CONNECT of an HTTP/2 connection when it is its turn. */
  serveHttp2(request: Http2ServerRequest, response: Http2ServerResponse, serve: () => void): void {
    const { stream } = request;
    const { session } = stream;
    if (session === undefined) return; // it has been reset
    if (request.method !== "CONNECT" && !stream.endAfterHeaders) {
      this.#bodies.follow(request, response, contentBytes(stream));
    }
    this.#turns.run(session, () => {
      if (!stream.destroyed && !stream.closed) serve();
    });
  }
}

function contentBytes(stream: Http2Stream): () => number {
  let bytes = stream.readableLength;
  const push = stream.push.bind(stream);
  const count = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (Buffer.isBuffer(chunk)) bytes += chunk.length;
    return push(chunk, encoding);
  };
  stream.push = count;
  return () => bytes;
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}
