/** Reads chunks from a socket on demand, so that the kernel applies backpressure. */
import type { Socket } from "node:net";

export class ByteReader {
  readonly #socket: Socket;
  #pushedBack: Buffer | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The next bytes, or undefined after the peer's FIN or a reset. */
  async next(): Promise<Buffer | undefined> {
    const pushedBack = this.#pushedBack;
    if (pushedBack !== undefined) {
      this.#pushedBack = undefined;
      return pushedBack;
    }
    for (;;) {
      const chunk: unknown = this.#socket.read();
      if (Buffer.isBuffer(chunk)) return chunk;
      if (this.#socket.readableEnded || this.#socket.destroyed) return undefined;
      await readableOrEnded(this.#socket);
    }
  }

  /** Puts back bytes that were read too far. */
  pushBack(bytes: Buffer): void {
    if (bytes.length > 0) this.#pushedBack = bytes;
  }

  /** Up to `length` bytes, as they arrive; ends early if the peer disconnects. */
  async *take(length: number): AsyncGenerator<Buffer, void, undefined> {
    let missing = length;
    while (missing > 0) {
      const chunk = await this.next();
      if (chunk === undefined) return;
      this.pushBack(chunk.subarray(missing));
      const part = chunk.subarray(0, missing);
      missing -= part.length;
      yield part;
    }
  }
}

function readableOrEnded(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const events = ["readable", "end", "close"] as const;
    const done = (): void => {
      for (const event of events) socket.off(event, done);
      resolve();
    };
    for (const event of events) socket.on(event, done);
  });
}
