/**
 * A target that speaks HTTP/2: one connection to it for each agent connection, and a queue for the streams that the target
 * allows (RFC 9113 §5.1.2), in which callers take turns. It has the interface of undici's pool for HTTP/1.1.
 *
 * Not registry/wait-queue.ts: that shares out connections among callers and targets. Here one target's own limit counts,
 * and requests that it has not processed go first.
 */
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { StreamError } from "../../wire/streams/stream-error.ts";
import { HTTP2_TARGET_MAX_CONNECTIONS, HTTP2_TARGET_MAX_WAITING } from "./limits.ts";
import type { StreamCause } from "../records/request-record.ts";
import { SELF } from "../shares/holders.ts";
import { Counts, shareLeft, targetStreamsLeft } from "../shares/shares.ts";
import { TurnQueue } from "../shares/turn-queue.ts";
import type { TargetSocket } from "../tunnels/tunnel.ts";
import { Http2Connection } from "./connection.ts";
import { Http2Exchange } from "./exchange.ts";
import type { Http2Queue } from "./exchange.ts";

/** undici's options, and what it does not support. */
export interface TargetDispatchOptions extends Dispatcher.DispatchOptions {
  headers: string[];
  body: Readable | Buffer | null;
  headersTimeout: number;
  /** Whose share of the target's streams it takes. Default: this process itself. */
  caller?: string | undefined;
  /** For the agent's log, where a stream is opened for it. */
  cause?: StreamCause | undefined;
  /** Trailers of the request, called when its body has ended. An HTTP/1.1 target gets them after a chunked body. */
  trailers?: (() => Record<string, string | string[]>) | undefined;
}

export interface Http2TargetParts {
  /** `<runner> <target>`, for error messages. */
  label: string;
  /** @throws TurnaboutError */
  openTunnel: (cause: StreamCause | undefined) => TargetSocket;
}

export class Http2Target implements Http2Queue {
  readonly #parts: Http2TargetParts;
  /** A lane for each caller. */
  readonly #waiting = new TurnQueue<Http2Exchange>();
  /** Streams in use, by caller. */
  readonly #streams = new Counts();
  readonly #retries = new Set<Http2Exchange>();
  readonly #connections = new Set<Http2Connection>();
  #current: Http2Connection | undefined;
  #isClosing = false;

  constructor(parts: Http2TargetParts) {
    this.#parts = parts;
  }

  dispatch(options: TargetDispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const exchange = new Http2Exchange(
      {
        method: options.method,
        path: options.path,
        fields: options.headers,
        body: options.body,
        trailers: options.trailers ?? (() => ({})),
        responseTimeoutMs: options.headersTimeout,
        caller: options.caller ?? SELF,
        cause: options.cause,
      },
      handler,
      this,
    );
    exchange.begin();
    if (exchange.isDone) return;
    const { caller } = exchange;
    const waiting = this.#waiting.lengthOf(caller);
    if (shareLeft(caller, waiting, HTTP2_TARGET_MAX_WAITING - this.#waiting.size) === 0) {
      const message = `target ${this.#parts.label}: too many requests wait for a stream, ${waiting} of ${caller}`;
      return exchange.fail(new TurnaboutError("overloaded", message));
    }
    this.#waiting.add(caller, exchange);
    this.#pump();
  }

  /** It was not processed: it goes before those that have not been tried yet. */
  requeue(exchange: Http2Exchange): void {
    this.#retries.add(exchange);
    // Not in the turn of the loss: its connection may be about to end.
    setImmediate(() => this.#pump());
  }

  remove(exchange: Http2Exchange): void {
    this.#retries.delete(exchange);
    this.#waiting.remove(exchange.caller, exchange);
  }

  #pump(): void {
    for (const exchange of this.#retries) {
      const connection = this.#usable(exchange);
      if (connection === undefined || !connection.hasRoom()) return;
      this.#retries.delete(exchange);
      this.#start(exchange, connection);
    }
    this.#waiting.serve((exchange, caller) => {
      const connection = this.#usable(exchange);
      if (connection === undefined || !connection.hasRoom()) return false;
      if (targetStreamsLeft(caller, this.#streams.of(caller), connection.freeStreams) === 0) return false;
      this.#waiting.remove(caller, exchange);
      this.#start(exchange, connection);
      return true;
    });
  }

  #start(exchange: Http2Exchange, connection: Http2Connection): void {
    exchange.start(connection, this.#streams.take([exchange.caller]));
  }

  /** The connection for new requests, opened for this one if there is none. */
  #usable({ cause }: Http2Exchange): Http2Connection | undefined {
    if (this.#current?.isUsable === true) return this.#current;
    this.#current = undefined;
    if (this.#isClosing) {
      this.#failAll(draining(this.#parts.label));
      return undefined;
    }
    if (this.#connections.size >= HTTP2_TARGET_MAX_CONNECTIONS) return undefined;
    try {
      const socket = this.#parts.openTunnel(cause);
      const connection: Http2Connection = new Http2Connection({
        socket,
        label: this.#parts.label,
        onChange: () => this.#onChange(connection),
      });
      this.#connections.add(connection);
      this.#current = connection;
      return connection;
    } catch (error) {
      this.#failAll(toError(error));
      return undefined;
    }
  }

  #onChange(connection: Http2Connection): void {
    if (connection.isClosed) {
      this.#connections.delete(connection);
      // Requests that wait for a connection that failed would open another one, without end.
      if (!connection.wasUsed) this.#failAll(connection.reason);
    }
    this.#pump();
    if (this.#isClosing && this.#waiting.size + this.#retries.size === 0) this.#closeIdle();
  }

  #failAll(error: Error): void {
    for (const exchange of [...this.#retries, ...this.#waiting.items()]) exchange.fail(error);
  }

  /** No new requests; those in flight finish. */
  close(): Promise<void> {
    this.#isClosing = true;
    if (this.#waiting.size + this.#retries.size === 0) this.#closeIdle();
    return Promise.resolve();
  }

  #closeIdle(): void {
    for (const connection of this.#connections) if (connection.isIdle) connection.close();
  }

  destroy(reason: Error): Promise<void> {
    this.#isClosing = true;
    this.#failAll(reason);
    for (const connection of this.#connections) connection.destroy(reason);
    return Promise.resolve();
  }
}

function draining(label: string): StreamError {
  const message = `target ${label}: the connection to its agent is closing`;
  return new StreamError("agent_draining", message, { reused: false, unprocessed: true });
}
