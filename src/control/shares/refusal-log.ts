/** Log lines about failed requests, limited for each client address: one that fails without end hides no other, and fills no disk. */
import type { Logger } from "../../wire/log.ts";
import { addressHolder } from "./holders.ts";
import {
  MAX_REFUSAL_LINES_BURST,
  MAX_REFUSAL_LINES_PER_S,
  REFUSAL_LINES_BURST,
  REFUSAL_LINES_PER_S,
} from "./limits.ts";
import { RateLimits } from "./rate-limits.ts";

export class RefusalLog {
  readonly #log: Logger;
  readonly #byAddress = new RateLimits({ perS: REFUSAL_LINES_PER_S, burst: REFUSAL_LINES_BURST });
  readonly #all = new RateLimits({ perS: MAX_REFUSAL_LINES_PER_S, burst: MAX_REFUSAL_LINES_BURST });
  #suppressed = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Drops lines above the limits; the next line has their number as `suppressed`. */
  info(fields: { client: string; [field: string]: unknown }, message: string): void {
    if (this.#byAddress.take(addressHolder(fields.client)) > 0 || this.#all.take("") > 0) {
      this.#suppressed += 1;
      return;
    }
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#log.info({ ...fields, ...(suppressed > 0 && { suppressed }) }, message);
  }
}
