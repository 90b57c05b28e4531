/** One WebSocket of a session in three seconds: faster reconnects deadlock Wolf's encoders. */
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_REMEMBERED_STREAMS, STREAM_RATE_MS } from "../limits.ts";

export class StreamRate {
  readonly #last = new Map<string, number>();

  /** Called before any stream is opened. @throws TurnaboutError `rate_limited` */
  take(session: string): void {
    const now = Date.now();
    const last = this.#last.get(session);
    if (last !== undefined && now - last < STREAM_RATE_MS) {
      const retryAfterS = Math.ceil((STREAM_RATE_MS - (now - last)) / 1_000);
      throw new TurnaboutError("rate_limited", `stream of ${session}: too soon`, { retryAfterS });
    }
    this.#last.delete(session);
    this.#last.set(session, now);
    if (this.#last.size <= MAX_REMEMBERED_STREAMS) return;
    const [oldest] = this.#last.keys();
    if (oldest !== undefined) this.#last.delete(oldest);
  }

  /** No stream was opened. */
  giveBack(session: string): void {
    this.#last.delete(session);
  }
}
