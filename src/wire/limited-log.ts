/** Limits the log lines that peers can cause without limit, such as those about refused ones, which must not fill the disk. */
import type { Logger } from "./log.ts";

const MINUTE_MS = 60_000;

export class LimitedLog {
  readonly #log: Logger;
  readonly #perMinute: number;
  #minuteStartedAt = -Infinity;
  #logged = 0;
  #suppressed = 0;

  /** @param perMinute lines */
  constructor(log: Logger, perMinute: number) {
    this.#log = log;
    this.#perMinute = perMinute;
  }

  /** Drops lines above the limit; the first line of the next minute has their number as `suppressed`. */
  warn(fields: object, message: string): void {
    this.#write("warn", fields, message);
  }

  /** As {@link warn}, within the same limit. */
  info(fields: object, message: string): void {
    this.#write("info", fields, message);
  }

  /** Nothing was logged for a minute, and nothing suppressed since. */
  get isIdle(): boolean {
    return this.#suppressed === 0 && performance.now() - this.#minuteStartedAt >= MINUTE_MS;
  }

  #write(level: "info" | "warn", fields: object, message: string): void {
    const now = performance.now();
    if (now - this.#minuteStartedAt >= MINUTE_MS) {
      this.#minuteStartedAt = now;
      this.#logged = 0;
    }
    if (this.#logged >= this.#perMinute) {
      this.#suppressed += 1;
      return;
    }
    this.#logged += 1;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#log[level]({ ...fields, ...(suppressed > 0 && { suppressed }) }, message);
  }
}
