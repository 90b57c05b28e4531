/** The readers of `GET /api/v1/events` (server-sent events over HTTP/1.0). */
import type { Socket } from "node:net";
import { MAX_UNSENT_EVENT_BYTES } from "./limits.ts";
import { replyHead } from "./reply.ts";

const KEEPALIVE = ":keepalive\n\n";

export class EventStreams {
  readonly #readers = new Set<Socket>();

  get size(): number {
    return this.#readers.size;
  }

  add(socket: Socket): void {
    const fields = ["Content-Type: text/event-stream", "Connection: keep-alive", "Cache-Control: no-cache"];
    this.#readers.add(socket);
    socket.once("close", () => this.#readers.delete(socket));
    // Wolf no longer reads from the socket, so it notices a closed reader only when a write fails, up to 15 s later. The
    // double writes at once: that write fails after a full close, and succeeds for a peer that has only half-closed.
    socket.once("end", () => send(socket, KEEPALIVE));
    socket.write(replyHead(200, fields));
    if (socket.readableEnded) send(socket, KEEPALIVE);
  }

  emit(name: string, data: unknown): void {
    this.#broadcast(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  keepAlive(): void {
    this.#broadcast(KEEPALIVE);
  }

  #broadcast(frame: string): void {
    for (const reader of this.#readers) send(reader, frame);
  }
}

function send(socket: Socket, frame: string): void {
  if (!socket.writable) return;
  socket.write(frame);
  if (socket.writableLength > MAX_UNSENT_EVENT_BYTES) socket.destroy();
}
