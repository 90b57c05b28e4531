/** One upgrade at a time, however it was requested: SIGUSR2, or `turnabout upgrade` by the control socket. */
import type { Logger } from "../../wire/log.ts";
import { UpgradeError } from "./upgrade-error.ts";

export class Upgrades {
  readonly #log: Logger;
  readonly #run: (signal: AbortSignal) => Promise<number>;
  readonly #aborting = new AbortController();
  #running: Promise<number> | undefined;

  /** @param run starts a successor and hands over to it; resolves with its pid, or rejects with everything undone */
  constructor(log: Logger, run: (signal: AbortSignal) => Promise<number>) {
    this.#log = log;
    this.#run = run;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Resolves with the successor's pid. Every outcome is logged.
   *
   * @throws UpgradeError
   */
  async request(): Promise<number> {
    if (this.#running !== undefined || this.#aborting.signal.aborted) {
      const why = this.#running === undefined ? "the process is ending" : "another upgrade is running";
      this.#log.warn({ reason: why }, "upgrade: ignored");
      throw new UpgradeError(why, "wait for its end");
    }
    this.#log.info({}, "upgrade: starting a successor");
    this.#running = this.#run(this.#aborting.signal);
    try {
      const pid = await this.#running;
      this.#log.info({ successor: pid }, "upgrade: the successor serves; draining");
      return pid;
    } catch (error) {
      const failure = toUpgradeError(error);
      const fields = { reason: failure.message, hint: failure.hint };
      this.#log.error(fields, "upgrade failed: this version goes on serving");
      throw failure;
    } finally {
      this.#running = undefined;
    }
  }

  /** Undoes a running one, and allows no other. */
  async abort(): Promise<void> {
    this.#aborting.abort();
    await this.#running?.catch(() => {});
  }
}

/** A process that cannot be started at all (EMFILE, EAGAIN, …) fails with an error of the system. */
function toUpgradeError(error: unknown): UpgradeError {
  if (error instanceof UpgradeError) return error;
  return new UpgradeError((error as Error).message, "see the reason");
}

/** An upgrade hands the store over; without one, the successor would not know runners, sessions and issued tokens. */
export function requireDataDirectory(dataDirectory: string | undefined): void {
  if (dataDirectory !== undefined) return;
  throw new UpgradeError(
    "no data directory: what is in memory would be lost",
    "start `turnabout serve` with --data-dir DIR",
  );
}

/**
 * SIGUSR2 from the first moment on: without a handler the signal ends a process, and an operator may send it while the
 * process starts.
 */
export class UpgradeSignal {
  #handler: () => void = () => {};

  constructor() {
    process.on("SIGUSR2", () => this.#handler());
  }

  handle(handler: () => void): void {
    this.#handler = handler;
  }
}
