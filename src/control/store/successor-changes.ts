/**
 * What a successor changes in the store, for a process that has handed it over and serves what its callers still have: a
 * revocation over the successor's API counts here too. The database is looked at in intervals, and open only meanwhile.
 */
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { metaOf } from "../sqlite/database.ts";
import type { StoreFiles } from "../sqlite/store-files.ts";
import { REVISION } from "./commits.ts";
import type { Commits } from "./commits.ts";
import { SUCCESSOR_POLL_MS, SUCCESSOR_POLL_PAUSE } from "./limits.ts";

/** Reads its rows; what follows from them is done when the database is closed again. */
export type ReadChanges = () => () => void;

export class SuccessorChanges {
  readonly #files: Pick<StoreFiles, "database" | "isReleased" | "readReleased">;
  readonly #commits: Pick<Commits, "revision">;
  readonly #log: Logger;
  readonly #reads: ReadChanges[] = [];
  #seen: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;

  constructor(
    files: Pick<StoreFiles, "database" | "isReleased" | "readReleased">,
    commits: Pick<Commits, "revision">,
    log: Logger,
  ) {
    this.#files = files;
    this.#commits = commits;
    this.#log = log;
  }

  /** @param read reads rows again, whenever the successor has changed something */
  onChange(read: ReadChanges): void {
    this.#reads.push(read);
  }

  /** Once the store has been released, and another process serves with it. */
  follow(): void {
    if (!this.#files.isReleased) return;
    this.#seen = this.#commits.revision;
    this.#lookIn(0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), delayMs);
    this.#timer.unref();
  }

  #look(): void {
    const startedAtMs = performance.now();
    try {
      for (const apply of this.#read()) apply();
    } catch (error) {
      this.#reportFailure(error);
    }
    if (this.#timer === undefined) return; // stopped meanwhile
    this.#lookIn(Math.max(SUCCESSOR_POLL_MS, (performance.now() - startedAtMs) * SUCCESSOR_POLL_PAUSE));
  }

  /** @returns what follows from it; empty if nothing has changed. @throws an error of SQLite */
  #read(): (() => void)[] {
    let applies: (() => void)[] = [];
    this.#files.readReleased(() => {
      const revision = metaOf(this.#files.database, REVISION);
      if (revision === this.#seen) return;
      applies = this.#reads.map((read) => read());
      this.#seen = revision;
    });
    return applies;
  }

  /** A warning once: the next look may succeed, as where the successor was just writing. */
  #reportFailure(error: unknown): void {
    const level = this.#hasFailed ? "debug" : "warn";
    this.#hasFailed = true;
    this.#log[level]({ reason: toError(error).message }, "store: the successor's changes cannot be read yet");
  }
}
