/** Streams that move as many bytes as they can, or that stall. */
import type net from "node:net";
import type { ByteCount } from "../workers/target.ts";
import type { Route } from "./route.ts";
import { openRoute } from "./route.ts";

/** `download` reads from a source, `upload` writes to a sink, `stall` stops reading a source. */
export type BulkKind = "download" | "upload" | "stall";

const CHUNK = Buffer.alloc(64 * 1024, "x");

export class BulkLoad {
  readonly #sockets: net.Socket[];
  #bytes = 0;

  private constructor(sockets: net.Socket[]) {
    this.#sockets = sockets;
  }

  static async open(route: Route, kind: BulkKind, streams: number): Promise<BulkLoad> {
    const sockets = await Promise.all(Array.from({ length: streams }, () => openRoute(route)));
    const load = new BulkLoad(sockets);
    for (const socket of sockets) {
      socket.on("error", () => {});
      if (kind === "download") load.#read(socket);
      else if (kind === "upload") write(socket);
      else socket.pause();
    }
    return load;
  }

  #read(socket: net.Socket): void {
    socket.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
    });
  }

  received(): ByteCount {
    if (this.#sockets.some((socket) => socket.destroyed)) throw new Error("a bulk stream has closed");
    return { bytes: this.#bytes, atMs: performance.now() };
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function write(socket: net.Socket): void {
  const send = () => {
    while (!socket.destroyed && socket.write(CHUNK)) {
      // until the socket says that it has enough
    }
  };
  socket.on("drain", send);
  socket.resume();
  send();
}
