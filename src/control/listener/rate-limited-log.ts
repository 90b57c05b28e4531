/** Limits the log lines about refused peers: anyone can be refused without limit, which must not fill the disk. */
import { LimitedLog } from "../../wire/limited-log.ts";
import type { Logger } from "../../wire/log.ts";
import { REFUSALS_LOGGED_PER_MINUTE } from "../limits.ts";

export class RateLimitedLog extends LimitedLog {
  constructor(log: Logger) {
    super(log, REFUSALS_LOGGED_PER_MINUTE);
  }
}
