/** Streams that move as many bytes as they can, or that stall. */
import type net from "node:net";
import type { ByteCount } from "../workers/target.ts";
import type { Route } from "./route.ts";
import { openRoute } from "./route.ts";

/** `download` reads from a source, `paced` at a bounded rate, `upload` writes to a sink, `stall` reads nothing. */
export type BulkKind = "download" | "paced" | "upload" | "stall";

/** 100 Mbit/s: far more than a window a second, and far less than what keeps a core busy. */
const PACED_BYTES_PER_MS = 12_500;

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
      else if (kind === "paced") readPaced(socket);
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

function readPaced(socket: net.Socket): void {
  const startedAt = performance.now();
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    const aheadMs = bytes / PACED_BYTES_PER_MS - (performance.now() - startedAt);
    if (aheadMs < 1) return;
    socket.pause();
    setTimeout(() => socket.resume(), aheadMs);
  });
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
