/**
 * A WebSocket as Moonlight Web's framework gives it to a handler: nothing is sent by itself, neither a pong nor a Close,
 * and neither a handler's end nor the caller's FIN closes the connection. Frames are not joined.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { FrameHeaderReader, OPCODE } from "../../wire/websocket/frame-header.ts";
import { unmasked } from "../../wire/websocket/websocket-frames.ts";
import { MAX_SIGNALLING_BYTES } from "./limits.ts";

export interface Frame {
  opcode: number;
  /** A whole message, without a bit of an extension. */
  isWhole: boolean;
  isMasked: boolean;
  payload: Buffer;
}

/** RFC 6455 §1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export class BareSocket {
  readonly #socket: Duplex;
  readonly #header = new FrameHeaderReader();
  #payload: Buffer[] = [];
  #received = 0;
  #onFrame: (frame: Frame) => void;

  /** Sends the 101. @param onFrame called for each whole frame, until {@link abandon} or {@link close} */
  constructor(request: IncomingMessage, socket: Duplex, head: Buffer, onFrame: (frame: Frame) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"] ?? ""}${ACCEPT_SUFFIX}`)
      .digest("base64");
    const fields = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
    socket.write(["HTTP/1.1 101 Switching Protocols", ...fields, "", ""].join("\r\n"));
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    if (head.length > 0) socket.unshift(head);
  }

  sendText(text: string): void {
    this.#send(OPCODE.text, Buffer.from(text));
  }

  sendBinary(bytes: Buffer): void {
    this.#send(OPCODE.binary, bytes);
  }

  /** A Close frame without a code, and FIN. */
  close(): void {
    this.#send(OPCODE.close, Buffer.alloc(0));
    this.end();
  }

  /** FIN without a Close frame. */
  end(): void {
    this.abandon();
    this.#socket.end();
  }

  /** The handler has ended. What still comes is read and dropped; the connection stays open, and silent. */
  abandon(): void {
    this.#onFrame = ignore;
  }

  #send(opcode: number, payload: Buffer): void {
    // After the caller's reset nothing can be sent, which the real server notices as late.
    if (this.#socket.writable) this.#socket.write(Buffer.concat([headerOf(opcode, payload.length), payload]));
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#header.feed(chunk, at);
      if (!this.#header.isComplete) return;
      const { payloadBytes } = this.#header;
      const part = chunk.subarray(at, at + payloadBytes - this.#received);
      at += part.length;
      this.#received += part.length;
      if (payloadBytes <= MAX_SIGNALLING_BYTES) this.#payload.push(part);
      if (this.#received < payloadBytes) return;
      this.#emit(payloadBytes <= MAX_SIGNALLING_BYTES);
    }
  }

  #emit(isComplete: boolean): void {
    const { opcode, isFinal, reserved, isMasked, mask } = this.#header;
    const bytes = Buffer.concat(this.#payload);
    const payload = isMasked ? unmasked(bytes, mask, 0) : bytes;
    this.#header.reset();
    this.#payload = [];
    this.#received = 0;
    this.#onFrame({ opcode, isWhole: isFinal && reserved === 0 && isComplete, isMasked, payload });
  }
}

function headerOf(opcode: number, length: number): Buffer {
  const first = 0x80 | opcode;
  if (length < 126) return Buffer.from([first, length]);
  const header = Buffer.alloc(length < 65_536 ? 4 : 10);
  header[0] = first;
  header[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) header.writeUInt16BE(length, 2);
  else header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

function ignore(): void {}
