/**
 * A carrier inside one stream of another HTTP/2 connection (Extended CONNECT with `:protocol: ptth`), the same on both ends:
 * the stream's DATA is the tunnel connection. A bare Http2Stream cannot be used: its resets look like clean ends, and
 * node:http2 throws when it writes to a stream whose other half has ended.
 *
 * Flow control nests: the windows of the tunnel connection limit each of its streams, the window of the outer stream limits
 * all of them together, like a TCP receive window. Both ends always read the outer stream, so a stalled stream of the
 * tunnel never stalls the others.
 */
import { Duplex } from "node:stream";
import type { Http2Stream } from "node:http2";
import { discardStream, guardStream, resetStream } from "../streams/end-stream.ts";
import { CARRIER_DESTROY_DELAY_MS, MAX_STREAM_WRITE_BYTES } from "../limits.ts";

type Done = (error?: Error | null) => void;

export class StreamCarrier extends Duplex {
  readonly #stream: Http2Stream;
  #hasEnded = false;
  bytesRead = 0;
  bytesWritten = 0;

  /** @param stream with a 200 response, sent or received */
  constructor(stream: Http2Stream) {
    super({ autoDestroy: true, decodeStrings: true });
    this.#stream = stream;
    guardStream(stream);
    stream.on("data", (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (!this.push(chunk)) stream.pause();
    });
    stream.pause();
    stream.on("end", () => this.#ended());
    stream.on("aborted", () => this.#lost());
    stream.on("error", () => this.#lost());
    stream.on("close", () => (this.#hasEnded ? this.#ended() : this.#lost()));
  }

  override _read(): void {
    this.#stream.resume();
    if (this.#hasEnded) this.#ended();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (chunk.length === 0) return done();
    this.bytesWritten += chunk.length;
    this.#writePieces(chunk, done);
  }

  /** Writes of one turn of the event loop are sent in few frames. */
  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer" as BufferEncoding, done);
  }

  #writePieces(chunk: Buffer, done: Done): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return done(new Error("the carrier's stream has closed"));
    if (chunk.length <= MAX_STREAM_WRITE_BYTES) return void stream.write(chunk, done);
    stream.write(chunk.subarray(0, MAX_STREAM_WRITE_BYTES), (error) => {
      if (error) done(error);
      else this.#writePieces(chunk.subarray(MAX_STREAM_WRITE_BYTES), done);
    });
  }

  override _final(done: Done): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) done();
    else stream.end(() => done());
  }

  override _destroy(error: Error | null, done: Done): void {
    const stream = this.#stream;
    if (error !== null || !this.#hasEnded) {
      if (!stream.destroyed) resetStream(stream, error ?? new Error("the carrier was closed"));
      return done(error);
    }
    // The other end has finished, so this one ends as well, after what has been written.
    if (!stream.destroyed && !stream.writableEnded) stream.end();
    const timer = setTimeout(() => discardStream(stream), CARRIER_DESTROY_DELAY_MS);
    if (stream.destroyed) clearTimeout(timer);
    else stream.once("close", () => clearTimeout(timer));
    done(null);
  }

  /** A carrier is never half-open. Not push(null): node would write to the other half once more, and throw. */
  #ended(): void {
    this.#hasEnded = true;
    // Received data is read first: it may be the GOAWAY with the reason.
    if (this.readableLength === 0) setImmediate(() => this.destroy());
  }

  #lost(): void {
    if (this.#hasEnded) return;
    if (!this.destroyed)
      this.destroy(new Error(`the carrier's stream was reset (code ${this.#stream.rstCode})`));
  }
}
