/**
 * The client's direction of a WebSocket, as a relay sends it to the server: whole frames, and where the client has left without
 * a Close frame, one of the relay's own before FIN. There are servers that take nothing else for the end.
 */
import { Writable } from "node:stream";
import type { Duplex } from "node:stream";
import type { IncomingHttpHeaders } from "node:http";
import { WEBSOCKET_CLOSE_TIMEOUT_MS, WEBSOCKET_DROPPED_BYTES } from "../limits.ts";
import { abort } from "../streams/splice.ts";
import { encodeMaskedClose } from "./websocket-frames.ts";
import { WholeFrames } from "./whole-frames.ts";

/** RFC 6455 §7.4.1: going away. */
const GOING_AWAY = 1001;

/** Why the client is gone, as the server gets it: what it may know, in general words. */
export const CLIENT_DISCONNECTED = "the client has disconnected";
export const TUNNEL_CLOSED = "the tunnel connection has closed";

/**
 * The client's bytes are written or piped to it. Of a frame of up to 64 KiB the server gets all or nothing, and a larger one
 * comes in such fragments, so that a Close frame can follow at any time. Where an extension was agreed on, nobody else may
 * change the fragments of a message (RFC 6455 §5.4): a large frame passes as it comes, and if the client leaves within it,
 * the server gets FIN without a Close frame (§7.1.7), because nobody can complete the frame.
 */
export class ClientFrames extends Writable {
  readonly #server: Duplex;
  readonly #frames: WholeFrames;
  /** Ends the write that waits for the server to take more. */
  #continue: (() => void) | undefined;
  #isEnding = false;
  #hasEnded = false;
  /** The server declines the rest: writing more would lose what is still to be read from it. */
  #isDeclined = false;
  #reason = CLIENT_DISCONNECTED;

  /**
   * @param server takes the client's frames; nobody else writes to it or ends it
   * @param response fields of its response to the handshake
   */
  constructor(server: Duplex, response: IncomingHttpHeaders) {
    super();
    this.#server = server;
    this.#frames = new WholeFrames(response["sec-websocket-extensions"] === undefined);
    server.on("drain", () => this.#continue?.());
    server.once("close", () => this.#continue?.());
    // Of a stream whose end, by our doing, would reach the server as a bare end.
    server.once("ending", () => this.leaveNow(TUNNEL_CLOSED));
    server.once("aborted", () => {
      this.#isDeclined = true;
      this.#continue?.();
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const bytes = this.#isOver ? EMPTY : this.#frames.feed(chunk);
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
  leave(reason?: string): void {
    this.explain(reason);
    this.finish();
    this.#limit();
  }

  /** The same, without what still waits here. */
  leaveNow(reason?: string): void {
    this.explain(reason);
    this.#isEnding = true;
    this.#end();
    this.#limit();
  }

  /** Why the client will end, if it is not by its own doing. The first reason counts. */
  explain(reason: string | undefined): void {
    if (reason !== undefined && this.#reason === CLIENT_DISCONNECTED) this.#reason = reason;
  }

  get #isOver(): boolean {
    return this.#hasEnded || this.#isDeclined || this.#server.destroyed || this.#server.writableEnded;
  }

  #end(): void {
    if (this.#hasEnded) return;
    const mayClose = !this.#isOver && !this.#frames.closed;
    this.#hasEnded = true;
    this.#frames.drop();
    this.#continue?.();
    if (this.#server.destroyed || this.#server.writableEnded) return;
    if (mayClose && this.#frames.isBetween) this.#server.end(encodeMaskedClose(GOING_AWAY, this.#reason));
    else this.#server.end();
  }

  #limit(): void {
    if (this.#server.destroyed) return;
    this.#server.unpipe();
    let dropped = 0;
    this.#server.on("data", (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > WEBSOCKET_DROPPED_BYTES) abort(this.#server);
    });
    this.#server.resume();
    const timer = setTimeout(() => abort(this.#server), WEBSOCKET_CLOSE_TIMEOUT_MS);
    this.#server.once("close", () => clearTimeout(timer));
  }
}

const EMPTY = Buffer.alloc(0);
