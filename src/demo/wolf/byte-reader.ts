/** Pulls chunks from a socket, so that nothing is read before somebody wants it (the kernel pushes back). */
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
      await readableOrOver(this.#socket);
    }
  }

  /** Gives back what was read too far. */
  pushBack(bytes: Buffer): void {
    if (bytes.length > 0) this.#pushedBack = bytes;
  }

  /** Up to `length` bytes, as they come; ends early if the peer leaves. */
  async *take(length: number): AsyncGenerator<Buffer, void, undefined> {
    let missing = length;
    while (missing > 0) {
      const chunk = await this.next();
      if (chunk === undefined) return;
      this.pushBack(chunk.subarray(missing));
      const wanted = chunk.subarray(0, missing);
      missing -= wanted.length;
      yield wanted;
    }
  }
}

function readableOrOver(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const events = ["readable", "end", "close"] as const;
    const done = (): void => {
      for (const event of events) socket.off(event, done);
      resolve();
    };
    for (const event of events) socket.on(event, done);
  });
}
