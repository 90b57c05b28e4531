/**
 * The content of one response on its way: it pauses while its caller's buffer is full, and where it comes in many small pieces, until
 * its credential's turn has come. Counts what has come, and what is held in memory.
 */
import type { Dispatcher } from "undici";
import type { Guard } from "../../wire/streams/guard.ts";
import type { TargetHandler } from "../http1-target/target-client.ts";
import type { Http2Exchange } from "../http2-target/exchange.ts";
import { bufferedBytes } from "../listener/messages.ts";
import type { AnyRequest } from "../listener/messages.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import { BULK_RESPONSE_BYTES } from "../shares/limits.ts";
import type { Job } from "../shares/turn-loop.ts";
import { SMALL_PIECE_BYTES } from "./limits.ts";

export interface ContentFlowParts {
  /** Where the response comes from. */
  exchange: Pick<TargetHandler, "connection" | "received">;
  /** Whose share it takes. */
  holder: string;
  shares: Pick<CallerShares, "contentTurns" | "turns">;
  guard: Pick<Guard, "run">;
}

export class ContentFlow implements Job {
  /** Of the target's response, once there is one. */
  controller: Dispatcher.DispatchController | undefined;
  readonly #parts: ContentFlowParts;
  #contentBytes = 0;
  #isBulk = false;
  #isFull = false;
  #isWaiting = false;

  constructor(parts: ContentFlowParts) {
    this.#parts = parts;
  }

  /** What the target has sent so far, its framing included where it speaks HTTP/1.1: chunks of one byte are six bytes each. */
  get receivedBytes(): number {
    return Math.max(this.#contentBytes, this.#parts.exchange.received?.bytes ?? 0) + this.#heldBytes;
  }

  /** Bytes in memory: what the target's stream holds, and what the caller has sent. */
  heldBytes(request: AnyRequest): number {
    return this.#heldBytes + bufferedBytes(request);
  }

  get #heldBytes(): number {
    const { connection, received } = this.#parts.exchange;
    const { heldBytes: ofExchange = 0 } = (this.controller ?? {}) as Partial<Http2Exchange>;
    const ofStream = received === undefined ? 0 : (connection?.heldBytes ?? 0);
    return ofExchange + ofStream;
  }

  /** A piece has been passed on. @param hasRoom the caller's buffer takes more */
  passed({ length }: Buffer, hasRoom: boolean): void {
    const { shares, holder } = this.#parts;
    this.#contentBytes += length;
    if (!this.#isBulk && this.receivedBytes > BULK_RESPONSE_BYTES) this.#countBulk();
    if (!hasRoom) {
      this.#isFull = true;
      this.controller?.pause();
    }
    if (length >= SMALL_PIECE_BYTES || this.#isWaiting || shares.contentTurns.pass(holder)) return;
    this.#isWaiting = true;
    this.controller?.pause();
    this.#countBulk();
    shares.contentTurns.wait(holder, this);
  }

  #countBulk(): void {
    if (this.#isBulk) return;
    this.#isBulk = true;
    this.#parts.shares.turns.countBulk(this.#parts.holder);
  }

  /** The caller's buffer has room again. */
  readonly drained = (): void => {
    this.#isFull = false;
    this.#resume();
  };

  /** Its turn has come. */
  begin(): void {
    this.#isWaiting = false;
    this.#resume();
  }

  #resume(): void {
    if (!this.#isFull && !this.#isWaiting) this.#parts.guard.run(() => this.controller?.resume());
  }
}
