/** Failed attempts in the log: each new reason as a warning, its repetitions at debug, because an agent may try for weeks. */
import { TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { CONFIG_ERROR_LOG_INTERVAL_MS } from "../limits.ts";
import { attemptHint } from "./attempt-hint.ts";

export class FailureLog {
  readonly #log: Logger;
  readonly #reported = new ReportedProblems();
  /** Unix milliseconds. */
  #loggedAtMs = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** After a success the next failure is logged as a new one. */
  reset(): void {
    this.#reported.forget("");
  }

  /** @param isRefused the control plane refused the agent, as opposed to an attempt that did not get that far */
  report(error: Error, isRefused: boolean, happening: object): void {
    const hint = attemptHint(error);
    const fields = { ...happening, ...(hint !== undefined && { hint }) };
    const isConfig = error instanceof TurnaboutError && error.code === "config_invalid";
    // A wrong file is logged again now and then: only an operator can correct it.
    const isDue = isConfig && Date.now() - this.#loggedAtMs >= CONFIG_ERROR_LOG_INTERVAL_MS;
    const isNew = this.#reported.isNew("", error.message) || isDue;
    if (isNew) this.#loggedAtMs = Date.now();
    if (!isNew) this.#log.debug(fields, "connect failed; trying again");
    else if (isConfig) this.#log.error(fields, "the configuration cannot be used; trying again");
    else
      this.#log.warn(
        fields,
        isRefused ? "refused; trying again more slowly" : "connect failed; trying again",
      );
  }
}
