/** Sends a request's body to an HTTP/2 target piece by piece, and keeps its start, so that it can be sent again. */
import type { ClientHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_STREAM_WRITE_BYTES } from "../../wire/limits.ts";
import { HTTP2_TARGET_REPLAY_BYTES } from "./limits.ts";

export interface RequestSenderEvents {
  /** A piece is on its way, or the whole request: it is the target's turn. */
  onWrite(): void;
  /** The piece has left: it is the caller's turn again. */
  onWritten(): void;
  /** The caller's body has failed. */
  onError(error: Error): void;
}

export class RequestSender {
  readonly #events: RequestSenderEvents;
  readonly #hasBody: boolean;
  readonly #body: Readable | undefined;
  /** All that was read so far, until it is too much to be kept. */
  #replay: Buffer[] | undefined = [];
  #replayBytes = 0;
  #pending: Buffer[] = [];
  #isBodyRead = false;
  #isWriting = false;
  #isSent = false;
  #stream: ClientHttp2Stream | undefined;

  constructor(body: Readable | Buffer | null, events: RequestSenderEvents) {
    this.#events = events;
    this.#hasBody = body !== null;
    if (body === null) this.#isBodyRead = true;
    else if (Buffer.isBuffer(body)) {
      this.#take(body);
      this.#isBodyRead = true;
    } else {
      this.#body = body;
      body.pause();
      body.on("data", this.#onData);
      body.once("end", this.#onEnd);
      body.on("error", this.#onError); // permanent
      body.once("close", this.#onClose);
    }
  }

  get hasBody(): boolean {
    return this.#hasBody;
  }

  /** All of the request is sent. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /** Everything that was read of the body is still here. */
  get canReplay(): boolean {
    return this.#replay !== undefined;
  }

  /** The request is not sent again: the response has begun. */
  dropReplay(): void {
    this.#replay = undefined;
  }

  /** @param isRetry the body starts again */
  prepare(isRetry: boolean): void {
    this.#isWriting = false;
    this.#isSent = false;
    if (isRetry) this.#pending = [...(this.#replay ?? [])];
  }

  /** Sends on `stream`, after {@link prepare}. */
  sendOn(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    if (this.#hasBody) this.#pump();
    else this.#sent();
  }

  /** Its stream is lost; the body waits for another. */
  detach(): void {
    this.#stream = undefined;
    this.#body?.pause();
  }

  /** The exchange is over: what is left of the body is dropped. */
  stop(): void {
    this.#stream = undefined;
    this.#pending = [];
    this.#replay = undefined;
    const body = this.#body;
    if (body === undefined) return;
    body.off("data", this.#onData);
    body.off("end", this.#onEnd);
    body.off("close", this.#onClose);
    if (!this.#isBodyRead) body.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#body?.pause();
    this.#take(chunk);
    this.#pump();
  };

  readonly #onEnd = (): void => {
    this.#isBodyRead = true;
    this.#pump();
  };

  readonly #onError = (error: Error): void => this.#events.onError(error);

  readonly #onClose = (): void => {
    if (this.#isBodyRead) return;
    this.#events.onError(new TurnaboutError("aborted", "the caller aborted the request"));
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
    if (stream === undefined || this.#isWriting || this.#isSent || stream.destroyed) return;
    const piece = this.#pending.shift();
    if (piece !== undefined) {
      this.#isWriting = true;
      this.#events.onWrite();
      stream.write(piece, () => {
        if (this.#stream !== stream) return;
        this.#isWriting = false;
        this.#events.onWritten();
        this.#pump();
      });
    } else if (this.#isBodyRead) {
      stream.end();
      this.#sent();
    } else this.#body?.resume();
  }

  #sent(): void {
    this.#isSent = true;
    this.#events.onWrite();
  }
}
