/** The websocket carrier's byte stream, the same on both ends: HTTP/2 bytes in binary messages. */
import type { Duplex } from "node:stream";
import { createWebSocketStream } from "ws";
import type { WebSocket } from "ws";

/** @param below the socket below the WebSocket: its byte counters also advance within a message */
export function webSocketStream(socket: WebSocket, below?: Duplex): Duplex {
  socket.on("error", () => {}); // the stream reports it; without this listener a late one would end the process
  // Before ws turns it into an 'end': node would then end its side, wait permanently for a socket that has closed, and fail
  // an internal assertion, which ends the process, at the next write. HTTP/2 needs no such 'end'.
  socket.once("close", () => stream.destroy());
  const stream = createWebSocketStream(socket);
  // An abandoned handshake must not wait for ws's 30 s close timer.
  stream.once("close", () => socket.terminate());
  const counters = below as { readonly bytesRead?: number; readonly bytesWritten?: number } | undefined;
  if (typeof counters?.bytesRead === "number") {
    Object.defineProperties(stream, {
      bytesRead: { get: () => counters.bytesRead },
      bytesWritten: { get: () => counters.bytesWritten },
    });
  }
  return stream;
}
