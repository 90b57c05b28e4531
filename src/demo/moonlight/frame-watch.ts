/**
 * Watches a WebSocket connection and reports any frame that is not a whole text message. The library reports pings and
 * binary messages, but it joins fragments, at which Moonlight Web fails, too.
 */
import type { Socket } from "node:net";
import { FrameHeaderReader, OPCODE } from "../../wire/streams/frame-header.ts";

/** @param onForeign called at most once, with the first byte of the frame (FIN, RSV and opcode) */
export function watchFrames(socket: Socket, onForeign: (firstByte: number) => void): void {
  const header = new FrameHeaderReader();
  let payloadLeft = 0;
  const watch = (chunk: Buffer): void => {
    let at = 0;
    while (at < chunk.length) {
      if (payloadLeft > 0) {
        const skipped = Math.min(payloadLeft, chunk.length - at);
        payloadLeft -= skipped;
        at += skipped;
        continue;
      }
      at = header.feed(chunk, at);
      if (!header.isComplete) return;
      const first = header.bytes.readUInt8(0);
      if (first !== WHOLE_TEXT && first !== WHOLE_CLOSE) {
        socket.off("data", watch);
        onForeign(first);
        return;
      }
      payloadLeft = header.payloadBytes;
      header.reset();
    }
  };
  // Before the library's own listener, so that it does not respond to a frame at which the real server fails.
  socket.prependListener("data", watch);
}

/** First bytes: FIN and the opcode, without a reserved bit. */
const WHOLE_TEXT = 0x80 | OPCODE.text;
const WHOLE_CLOSE = 0x80 | OPCODE.close;
