/** A target that accepts every WebSocket, and only follows what its client sends: frames, and how that direction ends. */
import type { Duplex } from "node:stream";
import { FrameHeaderReader } from "../../src/wire/websocket/frame-header.ts";
import { unmasked } from "../../src/wire/websocket/websocket-frames.ts";
import { EventLog } from "./event-log.ts";
import { within } from "./events.ts";
import { acceptKey } from "./extended-connect.ts";
import { startRawTarget } from "./raw-target.ts";
import type { RawTarget } from "./raw-target.ts";

export interface ClientFrame {
  opcode: number;
  isFinal: boolean;
  isMasked: boolean;
  payload: Buffer;
}

/** Code and reason of a Close frame. */
export interface ClientClose {
  code: number;
  reason: string;
  isMasked: boolean;
}

const CLOSE = 8;

/** The server's end of one WebSocket. It sends nothing by itself. */
export class FollowedSocket {
  readonly socket: Duplex;
  readonly frames: EventLog<ClientFrame> = new EventLog();
  /** How the client's direction has ended, and how many bytes of an unfinished frame had come. */
  readonly ended: Promise<{ by: "FIN" | "reset"; partBytes: number }>;
  readonly #header = new FrameHeaderReader();
  #payload: Buffer[] = [];
  #received = 0;

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.removeAllListeners("data"); // what follows is no request
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    const { promise, resolve } = Promise.withResolvers<{ by: "FIN" | "reset"; partBytes: number }>();
    const partBytes = (): number => this.#header.bytes.length + this.#received;
    socket.once("end", () => resolve({ by: "FIN", partBytes: partBytes() }));
    socket.once("close", () => resolve({ by: "reset", partBytes: partBytes() }));
    this.ended = within(promise, "the end of the client's direction");
    this.ended.catch(() => {});
  }

  /** Texts and binary messages so far, fragments each for itself. */
  get texts(): string[] {
    return this.frames.all.filter(({ opcode }) => opcode < CLOSE).map(({ payload }) => payload.toString());
  }

  /** All Close frames so far. */
  get closes(): ClientClose[] {
    return this.frames.all
      .filter(({ opcode }) => opcode === CLOSE)
      .map(({ payload, isMasked }) => ({
        code: payload.length < 2 ? 1005 : payload.readUInt16BE(0),
        reason: payload.toString("utf8", 2),
        isMasked,
      }));
  }

  /** For failures. */
  toJSON(): unknown {
    return { texts: this.texts, closes: this.closes };
  }

  #read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length || this.#isWhole;) {
      at = this.#header.feed(chunk, at);
      if (!this.#header.isComplete) return;
      const part = chunk.subarray(at, at + this.#header.payloadBytes - this.#received);
      this.#payload.push(part);
      this.#received += part.length;
      at += part.length;
      if (!this.#isWhole) return;
      const { opcode, isFinal, isMasked, mask } = this.#header;
      const bytes = Buffer.concat(this.#payload);
      this.#header.reset();
      this.#payload = [];
      this.#received = 0;
      this.frames.push({ opcode, isFinal, isMasked, payload: isMasked ? unmasked(bytes, mask, 0) : bytes });
    }
  }

  get #isWhole(): boolean {
    return this.#header.isComplete && this.#received === this.#header.payloadBytes;
  }
}

export interface FrameTarget extends RawTarget {
  /** Those accepted so far. */
  readonly followed: EventLog<FollowedSocket>;
}

/**
 * @param beforeAccept called before the 101 is sent; a promise delays it
 * @param extensions which it agrees to
 */
export async function startFrameTarget(
  beforeAccept: () => Promise<void> | void = () => {},
  extensions?: string,
): Promise<FrameTarget> {
  const followed = new EventLog<FollowedSocket>();
  const target = await startRawTarget(({ head, socket }) => {
    const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1] ?? "";
    const accept = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
    if (extensions !== undefined) accept.push(`Sec-WebSocket-Extensions: ${extensions}`);
    void Promise.resolve(beforeAccept()).then(() => {
      followed.push(new FollowedSocket(socket));
      socket.write([...accept, `Sec-WebSocket-Accept: ${acceptKey(key)}`, "", ""].join("\r\n"));
    });
  });
  return Object.assign(target, { followed });
}
