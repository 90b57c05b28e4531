/** HTTP/2 frame by frame, as a test says: what no client library would send, and what came back before one tidied it up. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { within } from "./events.ts";

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;
const NAMES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY"];

export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const;

/** No dynamic table: every status can be read from its own frame. */
const NO_HEADER_TABLE = Buffer.from([0, 1, 0, 0, 0, 0]);

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

export type Field = readonly [name: string, value: string];

export function encodeFrame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HEADERS with literal fields: no Huffman code, no table. */
export function headersFrame(stream: number, fields: readonly Field[], endStream: boolean): Buffer {
  const text = (item: string): Buffer => {
    const bytes = Buffer.from(item, "latin1");
    if (bytes.length > 126) throw new Error("too long for this encoder");
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  };
  const block = fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)]));
  const flags = FLAG.END_HEADERS | (endStream ? FLAG.END_STREAM : 0);
  return encodeFrame(FRAME.HEADERS, flags, stream, Buffer.concat(block));
}

export function connectFrame(stream: number, authority: string): Buffer {
  return headersFrame(
    stream,
    [
      [":method", "CONNECT"],
      [":authority", authority],
    ],
    false,
  );
}

export function dataFrame(stream: number, data: string | Buffer, endStream = false): Buffer {
  return encodeFrame(FRAME.DATA, endStream ? FLAG.END_STREAM : 0, stream, Buffer.from(data));
}

export function rstFrame(stream: number, code: number): Buffer {
  return encodeFrame(FRAME.RST_STREAM, 0, stream, uint32(code));
}

/** `:status` of a HEADERS frame, which is its first field (RFC 9113 §8.3); NaN if the peer used its dynamic table. */
export function statusOf(frame: Frame): number {
  const isTableSize = ((frame.payload[0] ?? 0) & 0xe0) === 0x20;
  const block = frame.payload.subarray(isTableSize ? 1 : 0);
  const [index = 0, length = 0] = block;
  const indexed = [200, 204, 206, 304, 400, 404, 500][index - 0x88];
  if (indexed !== undefined) return indexed;
  const value = block.subarray(2, 2 + (length & 0x7f));
  return Number((length & 0x80) === 0 ? value.toString("latin1") : huffmanDigits(value));
}

/** RFC 7541, appendix B: 0, 1 and 2 have five bits, the other digits six. */
function huffmanDigits(bytes: Buffer): string {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let text = "";
  while (bits.length >= 5) {
    const short = Number.parseInt(bits.slice(0, 5), 2);
    const digit = short < 3 ? short : Number.parseInt(bits.slice(0, 6), 2) - 22;
    if (digit > 9) break; // padding
    text += String(digit);
    bits = bits.slice(short < 3 ? 5 : 6);
  }
  return text;
}

/** `HEADERS 404 END_STREAM`, `RST_STREAM 0`, `DATA 5`. */
export function describeFrame(frame: Frame): string {
  const { type, flags, payload } = frame;
  const name = NAMES[type] ?? `frame ${type}`;
  if (type === FRAME.RST_STREAM) return `${name} ${payload.readUInt32BE(0)}`;
  const end = (flags & FLAG.END_STREAM) === 0 ? "" : " END_STREAM";
  if (type === FRAME.DATA) return `${name} ${payload.length}${end}`;
  return type === FRAME.HEADERS ? `${name} ${statusOf(frame)}${end}` : name;
}

/** The HTTP client role on a socket whose peer has the server role, both SETTINGS exchanged. */
export class FrameClient {
  readonly socket: Socket;
  readonly #frames: AsyncGenerator<Frame, undefined>;
  /** Frames of each stream that have been read, as {@link describeFrame} says them. */
  readonly streams: Map<number, string[]> = new Map();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {}); // permanently: the peer may reset
    this.#frames = readFrames(socket);
  }

  static async open(socket: Socket): Promise<FrameClient> {
    const client = new FrameClient(socket);
    socket.write(
      Buffer.concat([
        Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        encodeFrame(FRAME.SETTINGS, 0, 0, NO_HEADER_TABLE),
      ]),
    );
    await client.until(({ type }) => type === FRAME.SETTINGS);
    socket.write(encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)));
    return client;
  }

  write(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Reads on until a frame matches; PINGs are not acknowledged. @throws Error if the connection ends before */
  async until(matches: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const { value: frame } = await within(this.#frames.next(), "a frame of the peer");
      if (frame === undefined) throw new Error("the connection has ended");
      if (frame.stream > 0) {
        const seen = this.streams.get(frame.stream) ?? [];
        this.streams.set(frame.stream, [...seen, describeFrame(frame)]);
      }
      if (matches(frame)) return frame;
    }
  }

  /** Everything that the peer had to send before its acknowledgement of this PING is read. */
  async roundTrip(): Promise<void> {
    this.write(encodeFrame(FRAME.PING, 0, 0, Buffer.from("12345678")));
    await this.until(({ type, flags, payload }) => {
      return type === FRAME.PING && (flags & FLAG.ACK) !== 0 && payload.toString() === "12345678";
    });
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Reads no further than the requested frames, behind `skipBytes` of a preface. */
export async function* readFrames(socket: Duplex, skipBytes = 0): AsyncGenerator<Frame, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  let toSkip = skipBytes;
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    const skipped = Math.min(toSkip, rest.length);
    rest = rest.subarray(skipped);
    toSkip -= skipped;
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3);
      yield {
        type: rest.readUInt8(3),
        flags: rest.readUInt8(4),
        stream: rest.readUInt32BE(5),
        payload: rest.subarray(9, 9 + length),
      };
      rest = rest.subarray(9 + length);
    }
  }
  return undefined;
}
