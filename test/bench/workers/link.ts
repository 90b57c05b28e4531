/**
 * A long, thin link: a TCP relay in user space that holds every chunk back for a delay and lets bytes out at a rate.
 * It delays bytes, not packets: there is no loss and no TCP slow start over the delay, but a window of HTTP/2 has to
 * be as large as the path, which is what is measured here. Its queue holds one delay's worth of bytes and 4 MiB more;
 * then it stops reading, as a full router would drop.
 */
import net from "node:net";
import { listen } from "./listen.ts";
import { serve } from "./serve.ts";

export interface LinkOptions {
  upstream: number;
  delayMs: number;
  bytesPerS: number;
}

export interface LinkCalls {
  open(options: LinkOptions): Promise<number>;
}

const BUFFER_BYTES = 4 * 1024 * 1024;

serve({
  open: ({ upstream, ...link }) => {
    // One rate for all connections of a direction: they share the link.
    const up = new Direction(link);
    const down = new Direction(link);
    return listen((downstream) => {
      const socket = net.connect({ host: "127.0.0.1", port: upstream, noDelay: true, allowHalfOpen: true });
      socket.on("error", () => downstream.destroy());
      downstream.on("error", () => socket.destroy());
      downstream.on("close", () => socket.destroy());
      socket.on("close", () => downstream.destroy());
      up.carry(downstream, socket);
      down.carry(socket, downstream);
    });
  },
} satisfies LinkCalls);

interface Item {
  dueMs: number;
  chunk: Buffer | undefined;
  from: net.Socket;
  to: net.Socket;
}

class Direction {
  readonly #delayMs: number;
  readonly #bytesPerMs: number;
  readonly #capacity: number;
  readonly #queue: Item[] = [];
  readonly #paused = new Set<net.Socket>();
  #queued = 0;
  #freeAtMs = 0;

  constructor({ delayMs, bytesPerS }: { delayMs: number; bytesPerS: number }) {
    this.#delayMs = delayMs;
    this.#bytesPerMs = bytesPerS / 1_000;
    this.#capacity = this.#bytesPerMs * delayMs + BUFFER_BYTES;
  }

  carry(from: net.Socket, to: net.Socket): void {
    from.on("data", (chunk: Buffer) => {
      this.#push({ dueMs: this.#due(chunk.length), chunk, from, to });
      this.#queued += chunk.length;
      if (this.#queued < this.#capacity) return;
      from.pause();
      this.#paused.add(from);
    });
    from.on("end", () => this.#push({ dueMs: this.#due(0), chunk: undefined, from, to }));
  }

  #due(bytes: number): number {
    this.#freeAtMs = Math.max(this.#freeAtMs, performance.now()) + bytes / this.#bytesPerMs;
    return this.#freeAtMs + this.#delayMs;
  }

  #push(item: Item): void {
    this.#queue.push(item);
    if (this.#queue.length === 1) this.#wait(item);
  }

  #wait({ dueMs }: Item): void {
    setTimeout(() => this.#deliver(), Math.max(0, dueMs - performance.now()));
  }

  #deliver(): void {
    const now = performance.now();
    let count = 0;
    for (const { dueMs, chunk, to } of this.#queue) {
      if (dueMs > now) break;
      count += 1;
      this.#queued -= chunk?.length ?? 0;
      if (chunk === undefined) to.end();
      else if (!to.destroyed) to.write(chunk);
    }
    this.#queue.splice(0, count);
    if (this.#queued < this.#capacity) {
      for (const socket of this.#paused) socket.resume();
      this.#paused.clear();
    }
    const [next] = this.#queue;
    if (next !== undefined) this.#wait(next);
  }
}
