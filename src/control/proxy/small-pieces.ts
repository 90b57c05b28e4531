/**
 * Content that comes in small pieces, for example a target's chunks of one byte. The first of a turn passes at once, further
 * ones are joined: each that is written costs some hundred bytes of memory until its reader has taken it, and node bounds
 * only the bytes of content.
 */
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { JOINED_PIECE_BYTES, SMALL_PIECE_BYTES } from "./limits.ts";

export class SmallPieces {
  readonly #write: (bytes: Buffer) => boolean;
  readonly #joined = new GrowingBuffer();
  /** A small one has passed in this turn. */
  #hasPassed = false;

  /** @param write returns false when its reader's buffer is full; must not throw */
  constructor(write: (bytes: Buffer) => boolean) {
    this.#write = write;
  }

  /** Writes it in this turn. @returns false when the buffer is full */
  add(piece: Buffer): boolean {
    if (piece.length < SMALL_PIECE_BYTES && this.#hasPassed) {
      this.#joined.append(piece);
      return this.#joined.length < JOINED_PIECE_BYTES || this.flush();
    }
    this.flush();
    if (piece.length < SMALL_PIECE_BYTES) {
      this.#hasPassed = true;
      process.nextTick(endTurn, this);
    }
    return this.#write(piece);
  }

  /** Writes what has been joined. @returns false when the buffer is full */
  flush(): boolean {
    return this.#joined.length === 0 || this.#write(this.#joined.take());
  }

  endTurn(): void {
    this.#hasPassed = false;
    this.flush();
  }
}

function endTurn(pieces: SmallPieces): void {
  pieces.endTurn();
}
