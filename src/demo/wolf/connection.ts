/**
 * One connection to the Wolf double: one request, one response, closed by the double.
 *
 *     peer                          double
 *     GET /api/v1/apps HTTP/1.1 →
 *                                 ← HTTP/1.0 200 OK … {"success":true,…}
 *                                 ← FIN
 */
import type { Socket } from "node:net";
import { ByteReader } from "./byte-reader.ts";
import { REQUEST_TIMEOUT_MS } from "./limits.ts";
import { plain, replyHead, wholeReply } from "./reply.ts";
import type { Reply } from "./reply.ts";
import { contentLengthOf, readHead, readWholeBody } from "./request.ts";
import type { RequestHead } from "./request.ts";
import type { Router, WolfContext } from "./router.ts";
import { SINK_PATH, sink } from "./routes/double-own.ts";

export interface ReceivedRequest extends RequestHead {
  /** Undefined if the body was not kept (`/double/sink`). */
  body: string | undefined;
}

export interface ConnectionContext {
  router: Router;
  wolf: WolfContext;
  onRequest: (request: ReceivedRequest) => void;
}

export async function serveConnection(socket: Socket, context: ConnectionContext): Promise<void> {
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  const reply = await respond(new ByteReader(socket), context);
  socket.setTimeout(0);
  // Bytes after the request are discarded: the socket must be read for its end to be noticed.
  socket.resume();
  await send(socket, reply, context);
}

async function respond(reader: ByteReader, { router, wolf, onRequest }: ConnectionContext): Promise<Reply> {
  const head = await readHead(reader);
  if (head === undefined) return { kind: "silence" };
  if (head.headers.get("transfer-encoding") === "chunked") {
    onRequest({ ...head, body: undefined });
    return plain("Chunked encoding not supported, use HTTP/1.0 instead", 500);
  }
  const length = contentLengthOf(head);
  if (length === undefined) return { kind: "silence" };
  if (head.method === "POST" && head.path === SINK_PATH) {
    onRequest({ ...head, body: undefined });
    return sink(reader.take(length));
  }
  const body = await readWholeBody(reader, length);
  if (body === undefined) return { kind: "silence" };
  const request = { ...head, body };
  onRequest(request);
  return wolf.thread.run(() => router(request, wolf));
}

async function send(socket: Socket, reply: Reply, { wolf }: ConnectionContext): Promise<void> {
  switch (reply.kind) {
    case "whole":
      return finish(socket, wholeReply(reply));
    case "until-close":
      socket.write(replyHead(200, reply.fields));
      for await (const chunk of reply.chunks) {
        if (!socket.writable) break;
        if (!socket.write(chunk)) await drained(socket);
      }
      return finish(socket);
    case "events":
      return wolf.events.add(socket);
    case "silence":
      return finish(socket);
  }
}

/** A full close, as in Wolf: a peer that keeps its half open gets nothing more. */
function finish(socket: Socket, bytes: Buffer = Buffer.alloc(0)): void {
  socket.end(bytes, () => socket.destroy());
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
    // A destroyed socket may have emitted both already.
    if (socket.destroyed) done();
  });
}
