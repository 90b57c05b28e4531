/**
 * What a caller sends behind its `CONNECT`, before the target has accepted: it leaves with the dial, so that a dial costs no round
 * trip of its own. The agent passes nothing of it on before the target has accepted (docs/protocol.md), so each attempt of the dial
 * can send it again.
 */
import type { Duplex, Readable } from "node:stream";
import { MAX_EARLY_BYTES } from "../limits.ts";

export class EarlyData {
  readonly #source: Duplex;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #to: Duplex | undefined;

  /** {@link pull} is to be called whenever the source has become readable. */
  constructor(source: Duplex) {
    this.#source = source;
  }

  /** Something of the caller's has been passed on: an end behind it is the end of its half. */
  get hasBegun(): boolean {
    return this.#keptBytes > 0;
  }

  /** So many bytes of the caller's have left with the dial, however often it was tried. */
  get passedBytes(): number {
    return this.#keptBytes;
  }

  /** A new attempt: the stream gets all that there has been, and what comes until {@link stop}. */
  sendTo(stream: Duplex): void {
    this.#to = stream;
    for (const chunk of this.#kept) this.#write(chunk);
    this.pull();
  }

  /** The dial has been decided: what the source has from here on is left in it. */
  stop(): void {
    this.#to = undefined;
    this.#kept = [];
  }

  /** Passes on what the source has, within the bound. What is left in it is read only so that its end is noticed. */
  pull(): void {
    for (;;) {
      const room = this.#to === undefined ? 0 : MAX_EARLY_BYTES - this.#keptBytes;
      const chunk = readPart(this.#source, room);
      if (chunk === undefined) return;
      this.#kept.push(chunk);
      this.#keptBytes += chunk.length;
      this.#write(chunk);
    }
  }

  /** A refused stream takes no more: its response is on the way. */
  #write(chunk: Buffer): void {
    const to = this.#to;
    if (to !== undefined && !to.destroyed && !to.closed) to.write(chunk);
  }
}

/** At most `maxBytes`; the rest stays in the source. */
function readPart(source: Readable, maxBytes: number): Buffer | undefined {
  const size = source.readableLength > maxBytes ? maxBytes : undefined;
  const chunk = source.read(maxBytes === 0 ? 0 : size) as Buffer | null;
  return chunk ?? undefined;
}
