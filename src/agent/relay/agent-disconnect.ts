/** Detects that an agent behind the relay disconnects while its request is forwarded. */
import type { Socket } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";

export interface DisconnectWatch {
  /** Aborted when the agent disconnects. */
  readonly signal: AbortSignal;
  /** Stops reading the socket. Its next owner gets the bytes that have come. */
  stop(): void;
}

/** @param head bytes that came with the request; they go back into the socket */
export function watchDisconnect(socket: Socket, head: Buffer): DisconnectWatch {
  const disconnected = new AbortController();
  const onEnd = (): void => {
    socket.destroy();
    disconnected.abort(new TurnaboutError("aborted", "the agent behind the relay disconnected"));
  };
  // FIN is seen only by reading. A first chunk before the response is kept, and no more is read.
  const onEarlyData = (chunk: Buffer): void => {
    socket.off("data", onEarlyData);
    socket.pause();
    socket.unshift(chunk);
  };
  if (head.length > 0) socket.unshift(head);
  socket.on("data", onEarlyData);
  socket.once("end", onEnd);
  socket.once("close", onEnd);
  return {
    signal: disconnected.signal,
    stop: () => {
      socket.off("data", onEarlyData);
      socket.off("end", onEnd);
      socket.off("close", onEnd);
    },
  };
}
