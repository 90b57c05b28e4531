/**
 * Cuts the bytes of a WebSocket's client so that what has been passed on ends between two frames: a frame is held until it is
 * whole, and a large one becomes fragments, each of which is. Where that is not allowed, a large one passes as it comes.
 */
import { MAX_HELD_FRAME_BYTES } from "../limits.ts";
import { FrameHeaderReader, OPCODE } from "./frame-header.ts";
import { GrowingBuffer } from "../streams/growing-buffer.ts";
import { encodeFrameHeader } from "./websocket-frames.ts";

/** Of the present frame: `held` until it is whole, `cut` into fragments, or `passed` as it comes. */
type Way = "held" | "cut" | "passed";

export class WholeFrames {
  readonly #mayCut: boolean;
  readonly #header = new FrameHeaderReader();
  /** The beginning of a frame or of a fragment. */
  readonly #held = new GrowingBuffer();
  /** Undefined between two frames, and within a header. */
  #way: Way | undefined;
  /** Payload of the frame, and of the part of it that goes at once, that is still to come. */
  #left = 0;
  #partLeft = 0;
  #closed = false;

  /** @param mayCut no extension has a say in how a message is fragmented (RFC 6455 §5.4) */
  constructor(mayCut: boolean) {
    this.#mayCut = mayCut;
  }

  /** What has been passed on ends between two frames. */
  get isBetween(): boolean {
    return this.#way !== "passed";
  }

  /** A whole Close frame has been passed on: nothing may follow it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Drops what is held. */
  drop(): void {
    this.#held.take();
  }

  /** @returns what is passed on now */
  feed(chunk: Buffer): Buffer {
    const sent: Buffer[] = [];
    /** Of the chunk: what lies before `from` is dealt with, what lies before `whole` is to be sent. */
    let from = 0;
    let whole = 0;
    const send = (end: number): void => {
      if (end > from) sent.push(chunk.subarray(from, end));
      from = Math.max(from, end);
    };
    for (let at = 0; at < chunk.length;) {
      if (this.#way === undefined) {
        const begin = at;
        at = this.#header.feed(chunk, at);
        if (!this.#header.isComplete) {
          send(begin);
          from = at; // the reader keeps it
          break;
        }
        const isHere = this.#header.bytes.length === at - begin;
        this.#way = this.#begin();
        if (this.#way === "cut" || !isHere) {
          send(begin);
          this.#held.append(this.#way === "cut" ? this.#fragmentHeader(true) : this.#header.bytes);
          from = at;
        }
      }
      const taken = Math.min(this.#partLeft, chunk.length - at);
      at += taken;
      this.#partLeft -= taken;
      this.#left -= taken;
      if (this.#partLeft > 0) break;
      if (this.#held.length > 0) sent.push(this.#held.take());
      whole = at;
      if (this.#left === 0) this.#end();
      else {
        send(at);
        this.#held.append(this.#fragmentHeader(false));
      }
    }
    if (this.#way === "passed") {
      if (this.#held.length > 0) sent.push(this.#held.take());
      send(chunk.length);
    } else {
      send(whole);
      if (from < chunk.length) this.#held.append(chunk.subarray(from));
    }
    return sent.length === 1 && sent[0] !== undefined ? sent[0] : Buffer.concat(sent);
  }

  #begin(): Way {
    this.#left = this.#header.payloadBytes;
    this.#partLeft = this.#left;
    if (this.#left <= MAX_HELD_FRAME_BYTES) return "held";
    return this.#mayCut ? "cut" : "passed";
  }

  /**
   * Fragments have a multiple of four bytes, so that the mask of the frame is that of each. A frame that no client may send in
   * this size (a control frame, a reserved bit without an extension) is cut too: its receiver has to fail it either way.
   */
  #fragmentHeader(isFirst: boolean): Buffer {
    const { isFinal, reserved, opcode, mask } = this.#header;
    this.#partLeft = Math.min(this.#left, MAX_HELD_FRAME_BYTES);
    const isLast = this.#partLeft === this.#left;
    const first = (isLast && isFinal ? 0x80 : 0) | (isFirst ? reserved | opcode : OPCODE.continuation);
    return encodeFrameHeader(first, this.#partLeft, mask);
  }

  #end(): void {
    if (this.#header.opcode === OPCODE.close) this.#closed = true;
    this.#header.reset();
    this.#way = undefined;
  }
}
