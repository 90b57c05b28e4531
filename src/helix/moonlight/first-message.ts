/**
 * Reads a client's WebSocket up to the end of its first message, which has to be text. Each byte is looked at once, and
 * what is held is bounded: the message, its fragments, and the control frames before it.
 */
import { isUtf8 } from "node:buffer";
import { FrameHeaderReader, OPCODE } from "../../wire/websocket/frame-header.ts";
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { unmasked } from "../../wire/websocket/websocket-frames.ts";

export interface FirstMessageLimits {
  /** Of the message. */
  maxBytes: number;
  /** Frames that the message comes in. */
  maxFragments: number;
  /** Pings and pongs before it. */
  maxControlFrames: number;
}

/** Status code and reason of a close frame. */
export interface Close {
  code: number;
  reason: string;
}

export type FirstMessage =
  /** Control frames that came before it, and what has come behind it, pass as they are. */
  | { kind: "text"; before: Buffer; text: string; rest: Buffer }
  /** The client closes before it has sent a message: its control frames, and all from the close frame on. */
  | { kind: "close"; bytes: Buffer }
  | { kind: "refused"; close: Close };

/** RFC 6455 §5.5. */
const MAX_CONTROL_PAYLOAD_BYTES = 125;

interface Frame {
  isControl: boolean;
  isFinal: boolean;
  mask: Buffer;
  payloadBytes: number;
  received: number;
}

export class FirstMessageReader {
  readonly #limits: FirstMessageLimits;
  readonly #header = new FrameHeaderReader();
  readonly #control = new GrowingBuffer();
  readonly #message = new GrowingBuffer();
  #frame: Frame | undefined;
  #fragments = 0;
  #controlFrames = 0;

  constructor(limits: FirstMessageLimits) {
    this.#limits = limits;
  }

  /** Undefined while more has to come. Not to be called again after a result. */
  feed(chunk: Buffer): FirstMessage | undefined {
    let at = 0;
    for (;;) {
      if (this.#frame === undefined) {
        at = this.#header.feed(chunk, at);
        if (!this.#header.isComplete) return undefined;
        const close = this.#problem();
        if (close !== undefined) return { kind: "refused", close };
        if (this.#header.opcode === OPCODE.close) {
          return { kind: "close", bytes: this.#with(this.#header.bytes, chunk.subarray(at)) };
        }
        this.#frame = this.#begin();
      }
      const frame: Frame = this.#frame;
      at = this.#take(frame, chunk, at);
      if (frame.received < frame.payloadBytes) return undefined;
      this.#frame = undefined;
      if (!frame.isControl && frame.isFinal) return this.#complete(chunk.subarray(at));
    }
  }

  /** Why the frame whose header has come cannot be part of a first message. */
  #problem(): Close | undefined {
    const { isMasked, reserved, opcode, isFinal, payloadBytes } = this.#header;
    const { maxBytes, maxControlFrames, maxFragments } = this.#limits;
    if (!isMasked) return { code: 1002, reason: "unmasked frame" };
    if (reserved !== 0) return { code: 1002, reason: "a reserved bit is set" };
    if (opcode >= OPCODE.close) {
      if (opcode > OPCODE.pong) return { code: 1002, reason: "unknown opcode" };
      if (!isFinal || payloadBytes > MAX_CONTROL_PAYLOAD_BYTES) {
        return { code: 1002, reason: "a control frame in fragments, or of more than 125 bytes" };
      }
      const isOneMore = opcode !== OPCODE.close && this.#controlFrames === maxControlFrames;
      return isOneMore
        ? { code: 1008, reason: "too many control frames before the first message" }
        : undefined;
    }
    if (opcode === OPCODE.binary) return { code: 1003, reason: "the first message has to be text" };
    if (opcode !== (this.#fragments === 0 ? OPCODE.text : OPCODE.continuation)) {
      return { code: 1002, reason: "unexpected opcode" };
    }
    if (this.#fragments === maxFragments) {
      return { code: 1008, reason: "the first message comes in too many fragments" };
    }
    return this.#message.length + payloadBytes > maxBytes
      ? { code: 1009, reason: "the first message is too large" }
      : undefined;
  }

  #begin(): Frame {
    const { isFinal, mask, opcode, payloadBytes } = this.#header;
    const isControl = opcode >= OPCODE.close;
    if (isControl) {
      this.#controlFrames += 1;
      this.#control.append(this.#header.bytes);
    } else this.#fragments += 1;
    this.#header.reset();
    return { isControl, isFinal, mask, payloadBytes, received: 0 };
  }

  /** @returns the index after the frame's payload in this chunk */
  #take(frame: Frame, chunk: Buffer, from: number): number {
    const part = chunk.subarray(from, from + frame.payloadBytes - frame.received);
    if (frame.isControl) this.#control.append(part);
    else this.#message.append(unmasked(part, frame.mask, frame.received));
    frame.received += part.length;
    return from + part.length;
  }

  #complete(rest: Buffer): FirstMessage {
    const message = this.#message.take();
    if (!isUtf8(message)) {
      return { kind: "refused", close: { code: 1007, reason: "the first message is not valid UTF-8" } };
    }
    return { kind: "text", before: this.#control.take(), text: message.toString("utf8"), rest };
  }

  #with(...parts: readonly Buffer[]): Buffer {
    return Buffer.concat([this.#control.take(), ...parts]);
  }
}
