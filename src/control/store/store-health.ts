/** Whether the store can be written, for readiness, metrics and the log. A problem is logged when it begins and when it ends. */
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { STORE_PROBLEMS_LOGGED_PER_MINUTE } from "./limits.ts";
import { STORE_HINTS, StoreFailure } from "../sqlite/store-failure.ts";
import type { StoreProblem } from "../sqlite/store-failure.ts";

const MINUTE_MS = 60_000;

export class StoreHealth {
  readonly #directory: string | undefined;
  readonly #log: Logger;
  #problem: StoreProblem | undefined;
  /** The one that the log has. */
  #reported: StoreProblem | undefined;
  #minuteBeganAt = -Infinity;
  #loggedInMinute = 0;

  constructor(directory: string | undefined, log: Logger) {
    this.#directory = directory;
    this.#log = log;
  }

  /** Undefined: changes are saved. */
  get problem(): StoreProblem | undefined {
    return this.#problem;
  }

  failed(problem: StoreProblem, cause: unknown): void {
    this.#problem = problem;
    if (this.#reported === problem || !this.#mayLog()) return;
    this.#reported = problem;
    const reason = new StoreFailure(problem).message;
    const { message } = toError(cause);
    const error = message === reason ? undefined : message;
    this.#log.error(
      { dataDirectory: this.#directory, problem, reason, error, hint: STORE_HINTS[problem] },
      "store: changes cannot be saved; tunnels are not affected; will retry",
    );
  }

  recovered(): void {
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    if (this.#reported === undefined) return;
    this.#reported = undefined;
    this.#log.info({ dataDirectory: this.#directory }, "store: changes are saved again");
  }

  /** Handed over to another process: no failure. */
  released(): void {
    this.#problem = "released";
    this.#reported = "released";
    this.#log.info({ dataDirectory: this.#directory }, "store: data directory handed over");
  }

  /** A problem that comes and goes, such as another process's locks, would fill the log. */
  #mayLog(): boolean {
    const now = performance.now();
    if (now - this.#minuteBeganAt >= MINUTE_MS) {
      this.#minuteBeganAt = now;
      this.#loggedInMinute = 0;
    }
    this.#loggedInMinute += 1;
    return this.#loggedInMinute <= STORE_PROBLEMS_LOGGED_PER_MINUTE;
  }
}
