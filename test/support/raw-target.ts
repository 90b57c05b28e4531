/** A target that speaks HTTP badly, or exactly as a test says: it gets the request's head and a bare socket. */
import type { Socket } from "node:net";
import { startTarget } from "./target.ts";
import type { TargetOptions, TestTarget } from "./target.ts";

export interface RawRequest {
  /** Request line and fields, as they came, without the empty line. */
  head: string;
  /** The target's own end of the connection. */
  socket: Socket;
  /** Which connection this came on, counted from 1. */
  connection: number;
}

export interface RawTarget extends TestTarget {
  /** Heads of the requests so far, in the order of their arrival. */
  readonly heads: readonly string[];
  /** Connections so far. */
  connections(): number;
}

/** Calls back for every request head; of a body it knows nothing, so only `Content-Length` bodies of requests pass. */
export async function startRawTarget(
  onRequest: (request: RawRequest) => void,
  options: TargetOptions = {},
): Promise<RawTarget> {
  const heads: string[] = [];
  let connections = 0;
  const target = await startTarget((socket) => {
    connections += 1;
    const connection = connections;
    let seen: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      for (;;) {
        const end = seen.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = seen.toString("latin1", 0, end);
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? "0");
        if (seen.length < end + 4 + length) return;
        seen = seen.subarray(end + 4 + length);
        heads.push(head);
        onRequest({ head, socket, connection });
      }
    });
  }, options);
  return Object.assign(target, { heads, connections: () => connections });
}
