/** A caller on a raw socket that waits for its stream: is it still there? */
import type { Duplex } from "node:stream";

export interface CallerWatch {
  /** Given when the caller has left. */
  readonly signal: AbortSignal;
  /** From here on, `splice()` reads the socket. */
  stop(): void;
}

/**
 * A socket that nobody reads shows neither FIN nor reset. So it is read meanwhile; what has come stays in its buffer.
 * As everywhere on HTTP/1.1, a caller that ends its half before its answer, and has sent nothing, has left.
 *
 * @param head what came with the request; it goes back into the socket
 */
export function watchCaller(socket: Duplex, head: Buffer): CallerWatch {
  if (head.length > 0) socket.unshift(head);
  const gone = new AbortController();
  const onGone = () => gone.abort();
  const look = () => void socket.read(0);
  socket.on("error", onGone); // for ever
  socket.once("close", onGone);
  socket.once("end", onGone);
  socket.on("readable", look);
  return {
    signal: gone.signal,
    stop: () => {
      socket.off("close", onGone);
      socket.off("end", onGone);
      socket.off("readable", look);
    },
  };
}
