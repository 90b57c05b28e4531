/**
 * A CONNECT stream as a socket, safe to pass to undici, http.Agent, dockerode, tls.connect({ socket }) and ws.
 * The bare Http2Stream is not:
 * - a corked string write followed by an empty write sends freed memory: strings become Buffers here, empty writes are dropped;
 * - a single large write can exhaust `maxSessionMemory` permanently: it is split, each piece waiting for the one before;
 * - a reset or a lost tunnel can look like a clean end: here it is always an error;
 * - an unfinished `destroy()` sends NO_ERROR: here it always resets with an error.
 */
import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { discardStream, guardStream, resetStream } from "./end-stream.ts";
import { MAX_STREAM_WRITE_BYTES } from "../limits.ts";
import { isComplete, watchRemoteEnd } from "./remote-end.ts";
import { onResponse } from "./response.ts";
import type { ResponseHeaders } from "./response.ts";
import { SocketLike } from "./socket-like.ts";
import { refusal, streamLost } from "./stream-error.ts";

export interface TunnelSocketOptions {
  /** The error for a refusal. Default: that of an agent. */
  refused?: (headers: ResponseHeaders, label: string) => Error;
  /** Whom the HTTP/2 connection leads to. Default: an agent. */
  peer?: string;
  /** What to do about a reset. */
  resetHint?: string;
}

export class TunnelSocket extends SocketLike {
  readonly #stream: ClientHttp2Stream;
  readonly #http2Session: Http2Session | undefined;
  readonly #label: string;
  readonly #peer: string | undefined;
  readonly #resetHint: string | undefined;
  #ended = false;
  #failure: Error | undefined;
  #timeoutWired = false;
  #failWrite: (() => void) | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  /** Called when the target has accepted. */
  onAccepted: (() => void) | undefined;
  /** When the agent had reached the target, by `performance.now()`. */
  acceptedAt: number | undefined;
  /** Called with the first bytes that the target sends. */
  onFirstBytes: ((bytes: Buffer) => void) | undefined;
  /** Transforms the bytes that the target sends. Must not throw. */
  inbound: ((bytes: Buffer) => Buffer) | undefined;

  /** @param label `<runner> <target>`, for error messages */
  constructor(
    stream: ClientHttp2Stream,
    label: string,
    { refused = refusal, peer, resetHint }: TunnelSocketOptions = {},
  ) {
    super({ allowHalfOpen: true, autoDestroy: true, decodeStrings: true });
    guardStream(stream);
    this.#stream = stream;
    this.#http2Session = stream.session;
    this.#label = label;
    this.#peer = peer;
    this.#resetHint = resetHint;
    watchRemoteEnd(stream);
    onResponse(stream, {
      response: (headers) => {
        if (headers[":status"] === 200) {
          this.acceptedAt = performance.now();
          return this.onAccepted?.();
        }
        this.destroy(refused(headers, label));
      },
      lost: (error) => this.#lose(error),
    });
    stream.on("data", (chunk: Buffer) => {
      if (this.bytesRead === 0) this.onFirstBytes?.(chunk);
      this.bytesRead += chunk.length;
      const bytes = this.inbound === undefined ? chunk : this.inbound(chunk);
      if (bytes.length > 0 && !this.push(bytes)) stream.pause();
    });
    stream.pause();
    // Not push(null) at once: a reset may follow the 'end' in the same turn of the loop.
    stream.on("end", () => setImmediate(() => this.#finish()));
    stream.on("error", (error) => this.#lose(error));
    stream.on("aborted", () => this.#lose());
    stream.on("close", () => this.#finish());
    // A stream may have ended in the packet of its response, before these listeners were added.
    if (stream.readableEnded || stream.destroyed) setImmediate(() => this.#finish());
    this.once("end", () => this.#failWrite?.());
  }

  /** Bytes in memory, in both directions. */
  get heldBytes(): number {
    const { readableLength, writableLength } = this.#stream;
    return readableLength + writableLength + this.readableLength + this.writableLength;
  }

  #finish(): void {
    if (this.destroyed || this.#ended || this.#failure !== undefined) return;
    if (!isComplete(this.#stream)) return this.#fail(this.#lost());
    this.#ended = true;
    this.push(null);
  }

  /** One tick later: a refusal before the reset is reported first ({@link onResponse}). */
  #lose(cause?: Error): void {
    const error = this.#lost(cause);
    process.nextTick(() => {
      if (cause !== undefined || !isComplete(this.#stream)) this.#fail(error);
    });
  }

  /** Bytes received before a reset are read before the error, as on a TCP socket: they may be a complete early response. */
  #fail(error: Error): void {
    if (this.readableLength === 0) this.destroy(error);
    else this.#failure ??= error;
  }

  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    const failure = this.#failure;
    if (failure !== undefined && this.readableLength === 0) setImmediate(() => this.destroy(failure));
    return chunk;
  }

  #lost(cause?: Error): Error {
    const reused = this.bytesRead > 0;
    const known = { http2Session: this.#http2Session, peer: this.#peer, resetHint: this.#resetHint };
    return streamLost(this.#stream, this.#label, { cause, reused, ...known });
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (chunk.length === 0) return callback();
    if (this.#failure !== undefined) return callback(this.#failure);
    this.bytesWritten += chunk.length;
    this.#writePieces(chunk, (error) => {
      if (!error) return callback();
      const lost = this.#lost(error);
      // One tick later, as in #lose(). If the peer accepts no more data, but everything that it sent is still to be read, a
      // failed write would discard that.
      process.nextTick(() => {
        const fail = (): void => callback(lost);
        if (isComplete(this.#stream) && !this.readableEnded) this.#failWrite = fail;
        else fail();
      });
    });
  }

  /** Many small writes leave in few frames: chunks of one byte would keep the agent and us busy for minutes. */
  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, callback);
  }

  #writePieces(chunk: Buffer, callback: (error?: Error | null) => void): void {
    if (this.#stream.closed) return callback(this.#lost());
    if (chunk.length <= MAX_STREAM_WRITE_BYTES) return void this.#stream.write(chunk, callback);
    this.#stream.write(chunk.subarray(0, MAX_STREAM_WRITE_BYTES), (error) => {
      if (error) callback(error);
      else this.#writePieces(chunk.subarray(MAX_STREAM_WRITE_BYTES), callback);
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#stream.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // Unless both halves have ended, the peer must see a reset.
    if (error === null && this.writableFinished && this.#ended) discardStream(this.#stream);
    else resetStream(this.#stream, error ?? new Error("socket destroyed"));
    callback(error);
  }

  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (callback !== undefined) this.once("timeout", callback);
    this.#stream.setTimeout(timeoutMs);
    if (!this.#timeoutWired) {
      this.#timeoutWired = true;
      this.#stream.on("timeout", () => this.emit("timeout"));
    }
    return this;
  }
}
