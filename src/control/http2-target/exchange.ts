/**
 * One request to an HTTP/2 target and its response, told to a handler as undici tells it. A request that the target has
 * provably not processed (RFC 9113 §8.7) is sent again, as long as everything of its body is still at hand.
 */
import http2 from "node:http2";
import type { IncomingHttpHeaders } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { resetStreamWith } from "../../wire/streams/end-stream.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { MAX_STREAM_WRITE_BYTES } from "../../wire/limits.ts";
import { hasRemoteEnded, watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import { DIAL_ATTEMPTS, HTTP2_TARGET_REPLAY_BYTES, HTTP2_TARGET_WAIT_MS } from "../limits.ts";
import type { Http2Connection } from "./connection.ts";
import { fieldsOf, headerList, rawFields } from "./fields.ts";
import type { RequestHead } from "./fields.ts";

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR } = http2.constants;

export interface Http2Request extends RequestHead {
  body: Readable | Buffer | null;
  /** Asked when the body has ended. */
  trailers: () => Record<string, string | string[]>;
  /** From the end of the request to the response header; Infinity: none. */
  responseTimeoutMs: number;
}

/** Where an exchange waits for its turn. */
export interface Http2Queue {
  again(exchange: Http2Exchange): void;
  leave(exchange: Http2Exchange): void;
}

export class Http2Exchange implements Dispatcher.DispatchController {
  readonly #request: Http2Request;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #queue: Http2Queue;
  readonly #body: Readable | undefined;
  #connection: Http2Connection | undefined;
  #stream: ClientHttp2Stream | undefined;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDone = false;

  /** Of the request's body: all that was read so far, until it is too much to be kept. */
  #replay: Buffer[] | undefined = [];
  #replayBytes = 0;
  #pending: Buffer[] = [];
  #isBodyRead = false;
  #isWriting = false;
  #isSent = false;

  #hasResponse = false;
  #trailers: readonly string[] | undefined;
  #isPaused = false;

  aborted = false;
  reason: Error | null = null;
  rawHeaders: Buffer[] | null = null;
  rawTrailers: Buffer[] | null = null;
  /** The response header ended the stream: a response to gRPC that has only trailers has to stay one. */
  isHeaderOnly = false;

  constructor(request: Http2Request, handler: Dispatcher.DispatchHandler, queue: Http2Queue) {
    this.#request = request;
    this.#handler = handler;
    this.#queue = queue;
    const { body } = request;
    if (body === null) this.#isBodyRead = true;
    else if (Buffer.isBuffer(body)) {
      this.#take(body);
      this.#isBodyRead = true;
    } else {
      this.#body = body;
      body.pause();
      body.on("data", this.#onBodyData);
      body.once("end", this.#onBodyEnd);
      body.on("error", this.#onBodyError); // permanent
      body.once("close", this.#onBodyClose);
    }
    this.#wait();
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Tells the handler that this is under way; it may abort from now on. */
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

  /** Its turn has come. */
  start(connection: Http2Connection): void {
    if (this.#isDone) return;
    clearTimeout(this.#timer);
    this.#attempts += 1;
    this.#connection = connection;
    this.#isWriting = false;
    this.#isSent = false;
    if (this.#attempts > 1) this.#pending = [...(this.#replay ?? [])];
    const hasBody = this.#request.body !== null;
    try {
      const list = headerList(this.#request, connection.maxHeaderBytes);
      const stream = connection.request(list, { endStream: !hasBody, waitForTrailers: hasBody });
      this.#stream = stream;
      this.#listen(stream);
    } catch (error) {
      const known = error instanceof TurnaboutError ? error : undefined;
      this.fail(
        known ?? new TurnaboutError("bad_request", "the request cannot be passed on", { cause: error }),
      );
      return;
    }
    if (hasBody) this.#pump();
    else this.#sent();
  }

  #listen(stream: ClientHttp2Stream): void {
    const isCurrent = (): boolean => this.#stream === stream && !this.#isDone;
    watchRemoteEnd(stream);
    stream.on("headers", ({ ":status": status }, _flags, raw) => {
      if (!isCurrent() || status === undefined || status >= 200) return;
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
      // One turn later: END_STREAM in a DATA frame with a reset right behind it is how a broken response ends.
      setImmediate(() => {
        if (!isCurrent()) return;
        if (hasRemoteEnded(stream) === true && stream.rstCode === NGHTTP2_NO_ERROR) this.#complete();
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

  #onResponse(stream: ClientHttp2Stream, status: number, flags: number, raw: readonly string[]): void {
    this.#hasResponse = true;
    this.#replay = undefined;
    if (this.#isSent) clearTimeout(this.#timer);
    this.isHeaderOnly = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    this.rawHeaders = rawFields(raw);
    this.#guard(() => this.#handler.onResponseStart?.(this, status, fieldsOf(raw)));
    stream.on("data", (chunk: Buffer) => {
      if (this.#isDone) return;
      this.#guard(() => this.#handler.onResponseData?.(this, chunk));
    });
    if (this.#isPaused) stream.pause();
  }

  #complete(): void {
    const trailers: IncomingHttpHeaders = fieldsOf(this.#trailers ?? []);
    this.rawTrailers = rawFields(this.#trailers ?? []);
    this.#settle();
    // The target has answered without waiting for all of the request (RFC 9113 §8.1).
    if (!this.#isSent) this.#reset();
    try {
      this.#handler.onResponseEnd?.(this, trailers);
    } catch (error) {
      this.#tell(toError(error));
    }
  }

  #lose(stream: ClientHttp2Stream): void {
    const error =
      this.#connection?.reasonFor(stream) ?? new TurnaboutError("internal", "a stream without a connection");
    const isRepeatable =
      lossOf(error)?.unprocessed === true &&
      !this.#hasResponse &&
      this.#replay !== undefined &&
      this.#attempts < DIAL_ATTEMPTS;
    if (!isRepeatable) return this.fail(error);
    this.#stream = undefined;
    this.#body?.pause();
    this.#wait();
    this.#queue.again(this);
  }

  fail(error: Error): void {
    if (this.#isDone) return;
    this.#settle();
    this.#reset();
    this.#tell(error);
  }

  /** The last word to the handler: what it throws can be told to nobody. */
  #tell(error: Error): void {
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
    this.#queue.leave(this);
    this.#pending = [];
    this.#replay = undefined;
    const body = this.#body;
    if (body === undefined) return;
    body.off("data", this.#onBodyData);
    body.off("end", this.#onBodyEnd);
    body.off("close", this.#onBodyClose);
    if (!this.#isBodyRead) body.destroy();
  }

  #reset(): void {
    if (this.#stream !== undefined) resetStreamWith(this.#stream, NGHTTP2_CANCEL);
  }

  // The request's body

  readonly #onBodyData = (chunk: Buffer): void => {
    this.#body?.pause();
    this.#take(chunk);
    this.#pump();
  };

  readonly #onBodyEnd = (): void => {
    this.#isBodyRead = true;
    this.#pump();
  };

  readonly #onBodyError = (error: Error): void => this.abort(error);

  readonly #onBodyClose = (): void => {
    if (!this.#isBodyRead) this.abort(new TurnaboutError("aborted", "the caller broke off the request"));
  };

  /** In pieces: a large write counts against the connection's memory at once. */
  #take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += MAX_STREAM_WRITE_BYTES) {
      this.#pending.push(chunk.subarray(at, at + MAX_STREAM_WRITE_BYTES));
    }
    if (this.#replay === undefined) return;
    this.#replayBytes += chunk.length;
    if (this.#replayBytes > HTTP2_TARGET_REPLAY_BYTES) this.#replay = undefined;
    else this.#replay.push(chunk);
  }

  /** One piece at a time, each when the one before has left: the target's flow control reaches the caller. */
  #pump(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#isWriting || this.#isSent || this.#isDone || stream.destroyed) return;
    const piece = this.#pending.shift();
    if (piece !== undefined) {
      this.#isWriting = true;
      this.#armResponse();
      stream.write(piece, () => {
        if (this.#stream !== stream) return;
        this.#isWriting = false;
        // A caller that has more to send may take its time; from then on it is the target's turn.
        clearTimeout(this.#timer);
        this.#pump();
      });
    } else if (this.#isBodyRead) {
      stream.end();
      this.#sent();
    } else this.#body?.resume();
  }

  #sent(): void {
    this.#isSent = true;
    this.#armResponse();
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
    const message = `no response from the target within ${timeoutMs} ms`;
    this.#arm(timeoutMs, () => this.fail(new TurnaboutError("response_timeout", message)));
  }

  #arm(timeoutMs: number, onTimeout: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTimeout, timeoutMs);
  }
}
