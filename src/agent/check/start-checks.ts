/**
 * The checks at the start of an agent: in the background, once, and only after its first attempt has ended. So they never
 * compete with it, not even for node's few threads for names. Each finding that is not good is one log line.
 */
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import type { AgentLifecycleEvent } from "../config.ts";
import { sleep } from "../sleep.ts";
import type { RunOptions } from "./checks.ts";
import type { CheckOptions } from "./context.ts";
import type { Finding } from "./finding.ts";
import { START_CHECKS_MS, START_CHECKS_SPREAD_MS } from "./limits.ts";

export interface StartChecksOptions {
  /** As the agent's. */
  options: CheckOptions;
  log: Logger;
  /** Default {@link START_CHECKS_MS} */
  delayMs?: number;
  /** Default {@link START_CHECKS_SPREAD_MS} */
  spreadMs?: number;
  /** Default {@link RunOptions} of the command. */
  run?: Pick<RunOptions, "lookup" | "maxStepMs" | "now">;
}

export class StartChecks {
  readonly #options: StartChecksOptions;
  readonly #end = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #done = Promise.withResolvers<void>();
  #hasBegun = false;

  constructor(options: StartChecksOptions) {
    this.#options = options;
    // An attempt that hangs is what an operator would like to know more about.
    this.#timer = setTimeout(() => this.#begin(false), options.delayMs ?? START_CHECKS_MS);
    this.#timer.unref();
  }

  /** Of the agent. */
  readonly onEvent = (event: AgentLifecycleEvent): void => {
    if (event.type === "connected") this.#begin(true);
    else if (event.type === "attempt-failed") this.#begin(false);
  };

  /** Resolves when all lines are logged, or nothing more will be. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#end.abort(new Error("the agent ends"));
    if (!this.#hasBegun) this.#done.resolve();
  }

  #begin(isConnected: boolean): void {
    if (this.#hasBegun || this.#end.signal.aborted) return;
    this.#hasBegun = true;
    clearTimeout(this.#timer);
    this.#run(isConnected).then(
      () => this.#done.resolve(),
      (error: unknown) => {
        this.#options.log.debug({ reason: toError(error).message }, "the checks at the start have failed");
        this.#done.resolve();
      },
    );
  }

  async #run(isConnected: boolean): Promise<void> {
    const { options, run, spreadMs = START_CHECKS_SPREAD_MS } = this.#options;
    const { signal } = this.#end;
    const { runChecks } = await import("./checks.ts"); // an agent needs it once
    const shared: RunOptions = { ...run, signal, isConnected, withRelay: false };
    this.#report(await runChecks(options, { ...shared, parts: "machine" }));
    // Of an agent that is connected the path has time; of thousands, not all look at it at once.
    if (isConnected) await sleep(Math.random() * spreadMs, signal);
    if (!signal.aborted) this.#report(await runChecks(options, { ...shared, parts: "path" }));
  }

  #report(findings: readonly Finding[]): void {
    if (this.#end.signal.aborted) return;
    const { log } = this.#options;
    for (const { check, subject, state, seen, remedy } of findings) {
      const fields = { check, ...(subject !== "" && { subject }), seen, hint: remedy };
      if (state === "failed") log.warn(fields, "check failed");
      if (state === "warning") log.info(fields, "check: could be better");
    }
  }
}
