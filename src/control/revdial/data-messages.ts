/**
 * Bytes to a client, as binary messages of a data connection. One program of the old fleet loses what remains of a message that
 * it has not read in one piece: it gets small messages, and the next one when a PING behind the last has been acknowledged.
 *
 * That program also drops a PONG that it cannot send within a second, because its own data wait to be read. Such data come
 * after all, and behind them there is another PING.
 */
import type { WebSocket } from "ws";
import { LOST_PONG_MS, MESSAGE_BYTES, SMALL_MESSAGE_BYTES } from "./limits.ts";

type Done = (error?: Error | null) => void;

/** A piece that may not have been read yet. */
interface Unconfirmed {
  /** In its PINGs: a PONG for an earlier piece confirms nothing. */
  id: string;
  pingedAtMs: number;
  done: Done;
}

export class DataMessages {
  readonly #webSocket: WebSocket;
  readonly #isConfirmed: boolean;
  readonly #pieceBytes: number;
  readonly #nowMs: () => number;
  #unconfirmed: Unconfirmed | undefined;
  #pieces = 0;

  /** @param nowMs a clock that only goes forward */
  constructor(webSocket: WebSocket, readsInPieces: boolean, nowMs = (): number => performance.now()) {
    this.#webSocket = webSocket;
    this.#isConfirmed = readsInPieces;
    this.#pieceBytes = readsInPieces ? SMALL_MESSAGE_BYTES : MESSAGE_BYTES;
    this.#nowMs = nowMs;
    if (!readsInPieces) return;
    webSocket.on("pong", (data: Buffer) => {
      if (data.toString("latin1") === this.#unconfirmed?.id) this.#settle();
    });
    webSocket.on("message", () => this.#pingAgain());
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
    this.#pieces += 1;
    const unconfirmed = { id: String(this.#pieces), pingedAtMs: 0, done: next };
    this.#unconfirmed = unconfirmed;
    this.#webSocket.send(piece, { binary: true }, (error) => {
      if (error !== undefined && error !== null) this.#settle(error);
    });
    this.#ping(unconfirmed);
  }

  #ping(unconfirmed: Unconfirmed): void {
    unconfirmed.pingedAtMs = this.#nowMs();
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping(unconfirmed.id);
  }

  #pingAgain(): void {
    const unconfirmed = this.#unconfirmed;
    if (unconfirmed !== undefined && this.#nowMs() - unconfirmed.pingedAtMs >= LOST_PONG_MS) {
      this.#ping(unconfirmed);
    }
  }

  #settle(error?: Error): void {
    const done = this.#unconfirmed?.done;
    this.#unconfirmed = undefined;
    done?.(error);
  }
}
