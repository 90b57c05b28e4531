/** Notices that a caller on a raw socket disconnects while its stream is being opened. */
import type { Duplex } from "node:stream";

export interface CallerWatch {
  /** Aborted when the caller disconnects. */
  readonly signal: AbortSignal;
  /** From here on, `splice()` reads the socket. */
  stop(): void;
}

/** Without a reason, node makes one with a stack for each caller. */
const LEFT = "the caller has disconnected";

/**
 * A socket that is not read reports neither FIN nor reset, so it is read meanwhile; received bytes stay in its buffer.
 * As elsewhere on HTTP/1.1, a caller that ends its half before the response and has sent no data has disconnected.
 *
 * @param head bytes that arrived with the request; put back into the socket
 * @param taken takes what the caller sends out of the socket. Where it has, the caller's end is no disconnect
 */
export function watchCaller(
  socket: Duplex,
  head: Buffer,
  taken?: { pull(): void; readonly hasBegun: boolean },
): CallerWatch {
  if (head.length > 0) socket.unshift(head);
  const left = new AbortController();
  const onLeft = () => left.abort(LEFT);
  const onEnd = () => {
    if (taken?.hasBegun !== true) left.abort(LEFT);
  };
  const onReadable = () => {
    if (taken === undefined) socket.read(0);
    else taken.pull();
  };
  socket.on("error", onLeft); // permanently
  socket.once("close", onLeft);
  socket.once("end", onEnd);
  socket.on("readable", onReadable);
  return {
    signal: left.signal,
    stop: () => {
      socket.off("close", onLeft);
      socket.off("end", onEnd);
      socket.off("readable", onReadable);
    },
  };
}
