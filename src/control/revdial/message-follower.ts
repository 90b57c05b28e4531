/**
 * Follows the bytes of a client's frames, to know whether its connection ends between two messages. ws takes an end within one
 * for an end like any other.
 */
import { FrameHeaderReader, OPCODE } from "../../wire/websocket/frame-header.ts";

/** RFC 6455 §5.5: opcodes from here on are those of control frames, which may stand within a message. */
const FIRST_CONTROL_OPCODE: number = OPCODE.close;

export class MessageFollower {
  readonly #header = new FrameHeaderReader();
  #payloadLeft = 0;
  #isClose = false;
  #hasClosed = false;
  /** The last frame of data was not the last of its message. */
  #isFragmented = false;

  /** A frame or a message has begun, and has not ended. */
  get isWithin(): boolean {
    return this.#isFragmented || this.#payloadLeft > 0 || !this.#header.isEmpty;
  }

  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#hasClosed) {
      if (this.#payloadLeft === 0) {
        at = this.#header.feed(chunk, at);
        if (!this.#header.isComplete) return;
        this.#begin();
      }
      const taken = Math.min(this.#payloadLeft, chunk.length - at);
      this.#payloadLeft -= taken;
      at += taken;
      // What follows a Close frame is no frame.
      this.#hasClosed = this.#isClose && this.#payloadLeft === 0;
    }
  }

  #begin(): void {
    const { opcode, isFinal, payloadBytes } = this.#header;
    this.#isClose = opcode === OPCODE.close;
    if (opcode < FIRST_CONTROL_OPCODE) this.#isFragmented = !isFinal;
    this.#payloadLeft = payloadBytes;
    this.#header.reset();
  }
}
