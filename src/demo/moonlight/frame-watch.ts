/**
 * Watches a WebSocket connection and reports any frame that is not a whole text message. The library reports pings and
 * binary messages, but it joins fragments, at which Moonlight Web fails, too.
 */
import type { Socket } from "node:net";

/** RFC 6455 §5.2 and §11.8. */
const OPCODE_TEXT = 0x1;
const OPCODE_CLOSE = 0x8;

/** @param onForeign called at most once, with the first byte of the frame (FIN, RSV and opcode) */
export function watchFrames(socket: Socket, onForeign: (firstByte: number) => void): void {
  let header: Buffer = Buffer.alloc(0);
  let payloadLeft = 0;
  const watch = (chunk: Buffer): void => {
    let rest = chunk;
    while (rest.length > 0) {
      if (payloadLeft > 0) {
        const skipped = Math.min(payloadLeft, rest.length);
        payloadLeft -= skipped;
        rest = rest.subarray(skipped);
        continue;
      }
      header = Buffer.concat([header, rest]);
      const frame = readHeader(header);
      if (frame === undefined) return;
      if (!frame.wholeText && !frame.close) {
        socket.off("data", watch);
        onForeign(header.readUInt8(0));
        return;
      }
      payloadLeft = frame.payloadBytes;
      rest = header.subarray(frame.headerBytes);
      header = Buffer.alloc(0);
    }
  };
  // Before the library's own listener, so that it does not respond to a frame at which the real server fails.
  socket.prependListener("data", watch);
}

interface Frame {
  wholeText: boolean;
  close: boolean;
  headerBytes: number;
  payloadBytes: number;
}

/** Undefined while bytes are missing; a header has at most 14. */
function readHeader(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const shortLength = second & 0x7f;
  const lengthBytes = shortLength === 127 ? 8 : shortLength === 126 ? 2 : 0;
  const maskBytes = (second & 0x80) === 0 ? 0 : 4;
  const headerBytes = 2 + lengthBytes + maskBytes;
  if (bytes.length < headerBytes) return undefined;
  return {
    wholeText: first === (0x80 | OPCODE_TEXT),
    close: first === (0x80 | OPCODE_CLOSE),
    headerBytes,
    payloadBytes:
      lengthBytes === 0
        ? shortLength
        : lengthBytes === 2
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2)),
  };
}
