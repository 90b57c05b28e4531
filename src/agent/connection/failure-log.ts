/**
 * Failed attempts in the log: each new reason at once, its repetitions at debug, because an agent may try for weeks. What only an
 * operator can correct is an error, and logged again now and then.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { OPERATOR_ERROR_LOG_INTERVAL_MS } from "../limits.ts";
import { attemptHint } from "./attempt-hint.ts";
import { isFinalRefusal } from "./final-refusal.ts";

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
    const isFinal = isFinalRefusal(error);
    const isDue = (isConfig || isFinal) && Date.now() - this.#loggedAtMs >= OPERATOR_ERROR_LOG_INTERVAL_MS;
    const isNew = this.#reported.isNew("", error.message) || isDue;
    if (isNew) this.#loggedAtMs = Date.now();
    if (!isNew) this.#log.debug(fields, "connect failed; trying again");
    else if (isConfig) this.#log.error(fields, "the configuration cannot be used; trying again");
    else if (isFinal) this.#log.error(fields, "refused; trying again more slowly");
    else
      this.#log.warn(
        fields,
        isRefused ? "refused; trying again more slowly" : "connect failed; trying again",
      );
  }
}
