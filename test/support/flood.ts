/** Bytes without end, as fast as they are taken. */
import type { Writable } from "node:stream";

const BLOCK: Buffer = Buffer.alloc(64 * 1024, "flood ");

/** Writes until the stream cannot be written to any more, or until the returned function is called. */
export function flood(stream: Writable): () => void {
  const state = { stopped: false };
  const send = (): void => {
    while (!state.stopped && stream.writable && stream.write(BLOCK));
    if (!state.stopped && stream.writable) stream.once("drain", send);
  };
  send();
  return () => {
    state.stopped = true;
    stream.off("drain", send);
  };
}
