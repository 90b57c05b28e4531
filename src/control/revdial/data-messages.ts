/**
 * Bytes to a client, as binary messages of a data connection. One program of the old fleet loses what remains of a message that
 * it has not read in one piece: it gets small messages, and the next one when a PING behind the last has been acknowledged.
 */
import type { WebSocket } from "ws";
import { MESSAGE_BYTES, SMALL_MESSAGE_BYTES } from "./limits.ts";

type Done = (error?: Error | null) => void;

export class DataMessages {
  readonly #webSocket: WebSocket;
  readonly #isConfirmed: boolean;
  readonly #pieceBytes: number;
  /** Called when the last message has been read, or cannot be any more. */
  #confirmed: Done | undefined;

  constructor(webSocket: WebSocket, readsInPieces: boolean) {
    this.#webSocket = webSocket;
    this.#isConfirmed = readsInPieces;
    this.#pieceBytes = readsInPieces ? SMALL_MESSAGE_BYTES : MESSAGE_BYTES;
    if (!readsInPieces) return;
    webSocket.on("pong", () => this.#settle());
    webSocket.once("close", () => this.#settle(new Error("the connection has closed")));
  }

  /** @param done called when all of it has left, and the connection takes more */
  send(bytes: Buffer, done: Done): void {
    const piece = bytes.subarray(0, this.#pieceBytes);
    const rest = bytes.subarray(piece.length);
    const next: Done = (error) => {
      if (error !== undefined && error !== null) done(error);
      else if (rest.length > 0) this.send(rest, done);
      else done();
    };
    if (!this.#isConfirmed) return this.#webSocket.send(piece, { binary: true }, next);
    this.#confirmed = next;
    this.#webSocket.send(piece, { binary: true }, (error) => {
      if (error !== undefined && error !== null) this.#settle(error);
    });
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping();
  }

  #settle(error?: Error): void {
    const done = this.#confirmed;
    this.#confirmed = undefined;
    done?.(error);
  }
}
