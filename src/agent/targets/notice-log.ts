/** Notices of the control plane in the log: each is logged once, although every connection reports it. */
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { LimitedLog } from "../../wire/limited-log.ts";
import type { Logger } from "../../wire/log.ts";
import type { Notices } from "../../wire/messages/notices.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { NOTICES_LOGGED_PER_MINUTE } from "../limits.ts";

const REPLACED = "replaced";

export class NoticeLog {
  readonly #log: LimitedLog;
  /** By runner; only runners that the agent has. */
  readonly #reported = new ReportedProblems();

  constructor(log: Logger) {
    this.#log = new LimitedLog(log, NOTICES_LOGGED_PER_MINUTE);
  }

  /** @param has whether the agent serves this runner */
  post({ refused }: Notices, has: (runnerId: string) => boolean): void {
    for (const { runner, code } of refused) {
      if (!has(runner) || !this.#reported.isNew(runner, code)) continue;
      this.#log.warn({ runner, code, reason: ERROR_TABLE[code].text }, "the control plane refused a runner");
    }
  }

  /** Returns the runners that a newer agent serves since the last call. @param has as for {@link post} */
  replaced({ replaced }: Notices, has: (runnerId: string) => boolean): string[] {
    return replaced.filter((runner) => {
      if (!has(runner) || !this.#reported.isNew(runner, REPLACED)) return false;
      this.#log.warn({ runner }, "runner replaced by a newer agent; standing by");
      return true;
    });
  }

  /** The runner was removed, or offered again: its next notice is logged. */
  forget(runnerId: string): void {
    this.#reported.forget(runnerId);
  }
}
