/** One HTTP/1.1 connection to a target, in a CONNECT stream: undici's client, which reads through {@link ResponseHeads}. */
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { Client } from "undici";
import type { Dispatcher } from "undici";
import type { TargetDispatchOptions } from "../http2-target/target.ts";
import type { StreamCause } from "../records/request-record.ts";
import type { TargetSocket } from "../tunnels/tunnel.ts";
import { isAsterisk, RequestFraming } from "./request-framing.ts";
import type { LateContent } from "./request-framing.ts";
import { ResponseHeads } from "./response-heads.ts";

/**
 * What dispatches to a pool of {@link TargetClient}s. The pool sets plain properties: closures made for each request here, with
 * its options in them, stayed in memory until a full collection.
 */
export interface TargetHandler extends Dispatcher.DispatchHandler {
  /** Set by the pool for each attempt. `onRequestStart` calls its {@link TargetConnection.expectResponse}. */
  connection?: TargetConnection | undefined;
  /** Set by the pool for each attempt: what is dispatched. */
  dispatched?: TargetDispatchOptions | undefined;
  /** Set when a response is expected: how much of it has come. */
  received?: Pick<ResponseHeads, "bytes" | "hasBegun" | "isHttp10" | "reason"> | undefined;
}

/** The stream to a target, as far as there is one now, and the request that it serves. */
export class TargetConnection {
  socket: TargetSocket | undefined;
  heads: ResponseHeads = new ResponseHeads();
  readonly framing: RequestFraming = new RequestFraming();
  /** Requests that were dispatched and have neither a stream nor the order for one. */
  #waiting: StreamCause | "unclear" | undefined;
  client: Client | undefined;

  /** Bytes that wait in the stream, in both directions. */
  get heldBytes(): number {
    return this.socket?.heldBytes ?? 0;
  }

  /** The next bytes are a response for this handler. */
  expectResponse(handler: TargetHandler): void {
    this.#waiting = undefined;
    this.heads.expect();
    handler.received = this.heads;
    this.framing.begin(handler.dispatched);
    const body: LateContent | Buffer | null | undefined = handler.dispatched?.body;
    if (body instanceof Readable) body.framing = this.framing;
  }

  waits(cause: StreamCause | undefined): void {
    this.#waiting = this.#waiting === undefined ? cause : "unclear";
  }

  /** For whom a stream is opened now. Of two that wait it is not known: the agent then gets no id, and never another's. */
  takeCause(): StreamCause | undefined {
    const cause = this.#waiting;
    this.#waiting = undefined;
    return cause === "unclear" ? undefined : cause;
  }

  forget(): void {
    this.socket = undefined;
    this.heads = new ResponseHeads();
    this.framing.begin(undefined);
  }
}

/** One connection to a target. */
export class TargetClient extends Client {
  readonly #connection: TargetConnection;

  constructor(origin: URL, options: Client.Options, open: (cause: StreamCause | undefined) => TargetSocket) {
    const connection = new TargetConnection();
    super(origin, {
      ...options,
      connect: (_options, callback) => {
        // Not in the same turn: undici ignores a socket that exists before it has begun to wait for one.
        queueMicrotask(() => {
          try {
            const socket = open(connection.takeCause());
            const heads = new ResponseHeads();
            connection.heads = heads;
            connection.socket = socket;
            const feed = (bytes: Buffer): Buffer => heads.feed(bytes);
            socket.inbound = feed;
            completeRequests(socket, connection);
            // The pool keeps its clients: one without a connection would hold the last one's bytes.
            socket.once("close", () => {
              if (connection.socket === socket) connection.forget();
            });
            // An idle one is not to be used again: a request with content cannot be repeated.
            socket.once("closing", () => {
              if (connection.client?.stats.running === 0) socket.destroy();
            });
            // undici accepts any stream that behaves like a socket; its types want a net.Socket.
            callback(null, socket as unknown as Socket);
          } catch (error) {
            callback(error as Error, null);
          }
        });
      },
    });
    this.#connection = connection;
    connection.client = this;
  }

  override dispatch(options: TargetDispatchOptions, handler: TargetHandler): boolean {
    handler.connection = this.#connection;
    handler.dispatched = options;
    this.#connection.waits(options.cause);
    return super.dispatch(isAsterisk(options) ? { ...options, path: "/" } : options, handler);
  }
}

/** Writes what undici cannot. */
function completeRequests(socket: TargetSocket, { framing }: TargetConnection): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  const writeComplete = (chunk: unknown, ...rest: unknown[]): boolean => {
    const complete = framing.complete(chunk);
    return complete === undefined ? !socket.writableNeedDrain : write(complete, ...rest);
  };
  socket.write = writeComplete as TargetSocket["write"];
}
