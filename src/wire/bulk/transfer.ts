/**
 * Copies the bytes of one stream to another, as `pipe()` does, for bulk: what comes in one turn of the event loop leaves in
 * few writes (HTTP/2 brings 64 KiB in five frames, and each would cost a system call), and memory is freed at once.
 */
import type { Duplex } from "node:stream";
import { CORK_CHUNK_BYTES, CORKED_BYTES, UNWRITTEN_BYTES } from "../limits.ts";
import { freeOf, isWorthFreeing } from "./read-memory.ts";

/** Starts to copy, without ending `to`. It ends when `to` accepts no more. Nothing else may keep chunks of `from`. */
export function transfer(from: Duplex, to: Duplex): void {
  const free = freeOf(from, to);
  let corkedBytes = 0;
  let isCorked = false;
  let isScheduled = false;
  let isPaused = false;
  const uncork = (): void => {
    isCorked = false;
    to.uncork();
  };
  const endTurn = (): void => {
    isScheduled = false;
    if (isCorked) uncork();
  };
  const cork = (): void => {
    isCorked = true;
    corkedBytes = 0;
    to.cork();
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(endTurn);
  };
  const onData = (chunk: Buffer): void => {
    // A small chunk is not held back: it is a request or a response, of which a turn has one for each stream.
    if (!isCorked && chunk.length >= CORK_CHUNK_BYTES) cork();
    if (free !== undefined && isWorthFreeing(chunk)) {
      to.write(chunk, (error) => {
        if (!error) free(chunk); // after a failure node may still refer to it
      });
    } else {
      to.write(chunk);
    }
    corkedBytes += chunk.length;
    if (isCorked && corkedBytes >= CORKED_BYTES) uncork();
    if (!to.writableNeedDrain || to.writableLength < UNWRITTEN_BYTES) return;
    isPaused = true;
    from.pause();
  };
  const onDrain = (): void => {
    if (!isPaused) return;
    isPaused = false;
    from.resume();
  };
  const stop = (): void => {
    from.off("data", onData);
    to.off("drain", onDrain);
    from.pause();
  };
  for (const event of ["aborted", "error", "finish", "close"]) to.once(event, stop);
  to.on("drain", onDrain);
  from.on("data", onData);
  isPaused = to.writableNeedDrain;
  if (isPaused) from.pause();
  else from.resume();
}
