/** Limits the log lines about refused peers: anyone can be refused without limit, which must not fill the disk. */
import type { Logger } from "../../wire/log.ts";
import { REFUSALS_LOGGED_PER_MINUTE } from "../limits.ts";

const MINUTE_MS = 60_000;

export class RateLimitedLog {
  readonly #log: Logger;
  #minuteStartedAt = -Infinity;
  #logged = 0;
  #suppressed = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Drops lines above the limit; the first line of the next minute has their number as `suppressed`. */
  warn(fields: object, message: string): void {
    const now = performance.now();
    if (now - this.#minuteStartedAt >= MINUTE_MS) {
      this.#minuteStartedAt = now;
      this.#logged = 0;
    }
    if (this.#logged >= REFUSALS_LOGGED_PER_MINUTE) {
      this.#suppressed += 1;
      return;
    }
    this.#logged += 1;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#log.warn({ ...fields, ...(suppressed > 0 && { suppressed }) }, message);
  }
}
