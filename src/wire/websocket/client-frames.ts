/**
 * The client's direction of a WebSocket, as a relay sends it to the server: whole frames, and where the client has left without
 * a Close frame, one of the relay's own before FIN. There are servers that take nothing else for the end.
 */
import { Writable } from "node:stream";
import type { Duplex } from "node:stream";
import { MAX_HELD_FRAME_BYTES, WEBSOCKET_CLOSE_TIMEOUT_MS } from "../limits.ts";
import { GrowingBuffer } from "../streams/growing-buffer.ts";
import { abort } from "../streams/splice.ts";
import { encodeMaskedClose, FrameTracker } from "../streams/websocket-frames.ts";

/** RFC 6455 §7.4.1: going away. */
const GOING_AWAY = 1001;
const REASON = "the client has disconnected";

/**
 * The client's bytes are written or piped to it. Of a frame of up to {@link MAX_HELD_FRAME_BYTES} the server gets all or
 * nothing, so that a Close frame can follow at any time. A larger one passes as it comes: if the client leaves within it, the
 * server gets FIN without a Close frame (RFC 6455 §7.1.7), because nobody can complete the frame.
 */
export class ClientFrames extends Writable {
  readonly #server: Duplex;
  readonly #tracker = new FrameTracker();
  /** The beginning of a frame. */
  readonly #held = new GrowingBuffer();
  /** Ends the write that waits for the server to take more. */
  #continue: (() => void) | undefined;
  #isEnding = false;
  #hasEnded = false;
  /** The server declines the rest: writing more would lose what is still to be read from it. */
  #isDeclined = false;

  /** @param server takes the client's frames; nobody else writes to it or ends it */
  constructor(server: Duplex) {
    super();
    this.#server = server;
    server.on("drain", () => this.#continue?.());
    server.once("close", () => this.#continue?.());
    // Of a stream whose end, by our doing, would reach the server as a bare end.
    server.once("ending", () => this.leaveNow());
    server.once("aborted", () => {
      this.#isDeclined = true;
      this.#continue?.();
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const bytes = this.#isOver ? EMPTY : this.#wholeFrames(chunk);
    const written = (): void => {
      this.#continue = undefined;
      done();
      if (this.#isEnding && this.writableLength === 0) this.#end();
    };
    if (bytes.length === 0 || this.#server.write(bytes)) written();
    else this.#continue = written;
  }

  /** The client's half has ended: FIN behind all that it has sent, and a Close frame before it unless the client has sent one. */
  finish(): void {
    this.#isEnding = true;
    if (this.writableLength === 0) this.#end();
  }

  /** The client is lost. As {@link finish}; then the server has some time to close, and what it sends is dropped. */
  leave(): void {
    this.finish();
    this.#limit();
  }

  /** The same, without what still waits here. */
  leaveNow(): void {
    this.#isEnding = true;
    this.#end();
    this.#limit();
  }

  get #isOver(): boolean {
    return this.#hasEnded || this.#isDeclined || this.#server.destroyed || this.#server.writableEnded;
  }

  /** @returns what can be sent: up to the end of the last frame that is whole, or all where a larger one has begun */
  #wholeFrames(chunk: Buffer): Buffer {
    const end = this.#tracker.feed(chunk);
    const isHeld = !this.#tracker.atBoundary && this.#tracker.payloadBytes <= MAX_HELD_FRAME_BYTES;
    const sent = isHeld ? chunk.subarray(0, end) : chunk;
    // Bytes that are held belong to the first frame that ends in the chunk, or to one that turns out to be larger.
    const bytes = sent.length > 0 && this.#held.length > 0 ? Buffer.concat([this.#held.take(), sent]) : sent;
    if (isHeld) this.#held.append(chunk.subarray(end));
    return bytes;
  }

  #end(): void {
    if (this.#hasEnded) return;
    const mayClose = !this.#isOver && !this.#tracker.closed;
    const isBetweenFrames = this.#tracker.atBoundary || this.#held.length > 0;
    this.#hasEnded = true;
    this.#held.take();
    this.#continue?.();
    if (this.#server.destroyed || this.#server.writableEnded) return;
    if (mayClose && isBetweenFrames) this.#server.end(encodeMaskedClose(GOING_AWAY, REASON));
    else this.#server.end();
  }

  #limit(): void {
    if (this.#server.destroyed) return;
    this.#server.unpipe();
    this.#server.resume();
    const timer = setTimeout(() => abort(this.#server), WEBSOCKET_CLOSE_TIMEOUT_MS);
    this.#server.once("close", () => clearTimeout(timer));
  }
}

const EMPTY = Buffer.alloc(0);
