/**
 * One request to an HTTP/2 target and its response, reported to a handler as undici would. A request that the target has
 * provably not processed (RFC 9113 §8.7) is sent again, as long as all of its body is still held.
 */
import http2 from "node:http2";
import type { IncomingHttpHeaders } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { resetStreamWith } from "../../wire/streams/end-stream.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { isComplete, watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import { DIAL_ATTEMPTS, MAX_INFORMATIONAL_RESPONSES } from "../limits.ts";
import { HTTP2_TARGET_WAIT_MS } from "./limits.ts";
import type { StreamCause } from "../records/request-record.ts";
import type { Release } from "../shares/shares.ts";
import type { Http2Connection } from "./connection.ts";
import { fieldsOf, headerList, rawFields } from "./fields.ts";
import type { RequestHead } from "./fields.ts";
import { RequestSender } from "./request-sender.ts";

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM } = http2.constants;

export interface Http2Request extends RequestHead {
  body: Readable | Buffer | null;
  /** Called when the body has ended. */
  trailers: () => Record<string, string | string[]>;
  /** From the end of the request to the response header; Infinity: none. */
  responseTimeoutMs: number;
  /** Whose share of the target's streams it takes. */
  caller: string;
  cause: StreamCause | undefined;
}

/** Where an exchange waits for a stream. */
export interface Http2Queue {
  requeue(exchange: Http2Exchange): void;
  remove(exchange: Http2Exchange): void;
}

export class Http2Exchange implements Dispatcher.DispatchController {
  readonly #request: Http2Request;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #queue: Http2Queue;
  readonly #sender: RequestSender;
  #connection: Http2Connection | undefined;
  #stream: ClientHttp2Stream | undefined;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDone = false;

  #hasResponse = false;
  /** The response's header is all of it (RFC 9110 §6.4.1): what follows is ignored, and so is how the stream ends. */
  #isWithoutContent = false;
  #trailers: readonly string[] | undefined;
  #isPaused = false;
  #informational = 0;

  aborted = false;
  reason: Error | null = null;
  rawHeaders: Buffer[] | null = null;
  rawTrailers: Buffer[] | null = null;
  /** The response header ended the stream: a gRPC response of trailers only has to stay one header section. */
  isHeaderOnly = false;

  constructor(request: Http2Request, handler: Dispatcher.DispatchHandler, queue: Http2Queue) {
    this.#request = request;
    this.#handler = handler;
    this.#queue = queue;
    this.#sender = new RequestSender(request.body, {
      onWrite: () => this.#armResponse(),
      // A caller that has more to send may take its time; from then on it is the target's turn.
      onWritten: () => clearTimeout(this.#timer),
      onError: (error) => this.abort(error),
    });
    this.#wait();
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get caller(): string {
    return this.#request.caller;
  }

  get cause(): StreamCause | undefined {
    return this.#request.cause;
  }

  /** Bytes in memory, in both directions. */
  get heldBytes(): number {
    return (this.#stream?.readableLength ?? 0) + (this.#stream?.writableLength ?? 0);
  }

  /** Tells the handler that the request has started; it may abort from now on. */
  begin(): void {
    this.#guard(() => this.#handler.onRequestStart?.(this, {}));
  }

  get paused(): boolean {
    return this.#isPaused;
  }

  pause(): void {
    this.#isPaused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#hasResponse && !this.#isDone) this.#stream?.resume();
  }

  abort(reason: Error): void {
    if (this.#isDone) return;
    this.aborted = true;
    this.reason = reason;
    this.fail(reason);
  }

  #wait(): void {
    const message = `no free stream at the target within ${HTTP2_TARGET_WAIT_MS} ms`;
    this.#arm(HTTP2_TARGET_WAIT_MS, () => this.fail(new TurnaboutError("overloaded", message)));
  }

  /**
   * Sends the request.
   *
   * @param release gives back its share of the connection's streams
   */
  start(connection: Http2Connection, release: Release): void {
    if (this.#isDone) return release();
    clearTimeout(this.#timer);
    this.#attempts += 1;
    this.#connection = connection;
    this.#sender.prepare(this.#attempts > 1);
    const { hasBody } = this.#sender;
    try {
      const list = headerList(this.#request, connection.maxHeaderBytes);
      const stream = connection.request(list, { endStream: !hasBody, waitForTrailers: hasBody });
      this.#stream = stream;
      stream.once("close", release);
      this.#listen(stream);
    } catch (error) {
      release();
      const known = error instanceof TurnaboutError ? error : undefined;
      this.fail(
        known ??
          new TurnaboutError("bad_request", "the request cannot be forwarded to the target", {
            cause: error,
          }),
      );
      return;
    }
    this.#sender.sendOn(this.#stream);
  }

  #listen(stream: ClientHttp2Stream): void {
    const isCurrent = (): boolean => this.#stream === stream && !this.#isDone;
    watchRemoteEnd(stream);
    stream.on("headers", ({ ":status": status }, _flags, raw) => {
      if (!isCurrent() || status === undefined || status >= 200) return;
      this.#informational += 1;
      if (this.#informational > MAX_INFORMATIONAL_RESPONSES) return this.#endFlood();
      this.#guard(() => this.#handler.onResponseStart?.(this, status, fieldsOf(raw)));
    });
    stream.once("response", ({ ":status": status = 0 }, flags, raw) => {
      if (isCurrent()) this.#onResponse(stream, status, flags, raw);
    });
    stream.once("trailers", (_fields, _flags, raw) => {
      this.#trailers = raw;
    });
    stream.once("end", () => {
      if (!isCurrent()) return;
      if (this.#trailers !== undefined || this.isHeaderOnly) return this.#complete();
      // One turn later: a broken response may end with END_STREAM in a DATA frame, followed by a reset.
      setImmediate(() => {
        if (!isCurrent()) return;
        if (isComplete(stream)) this.#complete();
        else this.#lose(stream);
      });
    });
    stream.once("wantTrailers", () => this.#sendTrailers(stream));
    stream.once("close", () => {
      setImmediate(() => {
        if (isCurrent()) this.#lose(stream);
      });
    });
  }

  /** After a reset of the stream alone the target could go on. */
  #endFlood(): void {
    const message = `more than ${MAX_INFORMATIONAL_RESPONSES} informational responses before the final one`;
    const error = new TurnaboutError("target_protocol", message);
    this.fail(error);
    this.#connection?.destroy(error);
  }

  #onResponse(stream: ClientHttp2Stream, status: number, flags: number, raw: readonly string[]): void {
    this.#hasResponse = true;
    this.#sender.dropReplay();
    if (this.#sender.isSent) clearTimeout(this.#timer);
    this.isHeaderOnly = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    this.#isWithoutContent = this.#request.method === "HEAD" || status === 204 || status === 304;
    this.rawHeaders = rawFields(raw);
    this.#guard(() => this.#handler.onResponseStart?.(this, status, fieldsOf(raw)));
    stream.on("data", (chunk: Buffer) => {
      if (this.#isDone || this.#isWithoutContent) return;
      this.#guard(() => this.#handler.onResponseData?.(this, chunk));
    });
    if (this.#isPaused) stream.pause();
  }

  #complete(): void {
    const trailers: IncomingHttpHeaders = fieldsOf(this.#trailers ?? []);
    this.rawTrailers = rawFields(this.#trailers ?? []);
    this.#settle();
    // The target has responded without waiting for all of the request (RFC 9113 §8.1).
    if (!this.#sender.isSent) this.#reset();
    try {
      this.#handler.onResponseEnd?.(this, trailers);
    } catch (error) {
      this.#reportError(toError(error));
    }
  }

  #lose(stream: ClientHttp2Stream): void {
    if (this.#isWithoutContent) return this.#complete();
    const error =
      this.#connection?.reasonFor(stream) ?? new TurnaboutError("internal", "a stream without a connection");
    const isRepeatable =
      lossOf(error)?.unprocessed === true &&
      !this.#hasResponse &&
      this.#sender.canReplay &&
      this.#attempts < DIAL_ATTEMPTS;
    if (!isRepeatable) return this.fail(error);
    this.#stream = undefined;
    this.#sender.detach();
    this.#wait();
    this.#queue.requeue(this);
  }

  fail(error: Error): void {
    if (this.#isDone) return;
    this.#settle();
    this.#reset();
    this.#reportError(error);
  }

  /** Ends the exchange for the handler: if it throws now, there is nothing left to report to. */
  #reportError(error: Error): void {
    try {
      this.#handler.onResponseError?.(this, error);
    } catch {
      this.#reset();
    }
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.fail(toError(error));
    }
  }

  #settle(): void {
    this.#isDone = true;
    clearTimeout(this.#timer);
    this.#queue.remove(this);
    this.#sender.stop();
  }

  #reset(): void {
    if (this.#stream !== undefined) resetStreamWith(this.#stream, NGHTTP2_CANCEL);
  }

  #sendTrailers(stream: ClientHttp2Stream): void {
    if (stream.destroyed || stream.closed) return;
    try {
      stream.sendTrailers(this.#request.trailers());
    } catch {
      if (!stream.destroyed && !stream.closed) stream.sendTrailers({});
    }
  }

  #armResponse(): void {
    const timeoutMs = this.#request.responseTimeoutMs;
    if (this.#hasResponse || !Number.isFinite(timeoutMs)) return;
    const message = `the target has the request and sends no response: none within ${timeoutMs} ms`;
    this.#arm(timeoutMs, () => this.fail(new TurnaboutError("response_timeout", message)));
  }

  #arm(timeoutMs: number, onTimeout: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTimeout, timeoutMs);
  }
}
