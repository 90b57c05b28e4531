/** The commits of a store: their names in the database, how many of them survive a loss of power, and how long they take. */
import { randomBytes } from "node:crypto";
import { Durations } from "../../metrics/durations.ts";

/** Name of its row in the database's table `meta`. */
export const REVISION = "revision";

/** From a change of one row on a good disk to one that is overloaded. */
const BUCKETS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10];

export class Commits {
  /** Names the last commit, in the database too: by it a copy of the database is known to be complete. */
  revision: string | undefined;
  /** Of transactions that were committed, and of flushes to the disk. */
  readonly writes: Durations = new Durations(BUCKETS_S);
  readonly flushes: Durations = new Durations(BUCKETS_S);
  readonly #prefix = randomBytes(6).toString("hex");
  #count = 0;
  #flushed = 0;
  #beganAtMs = 0;

  /** The name of the next commit, which begins now. */
  next(): string {
    this.#beganAtMs = performance.now();
    return `${this.#prefix}-${this.#count}`;
  }

  committed(revision: string): void {
    this.writes.observeMs(performance.now() - this.#beganAtMs);
    this.revision = revision;
    this.#count += 1;
  }

  /** Resolves when all commits so far are flushed. */
  async flushed(flush: () => Promise<void>): Promise<void> {
    const count = this.#count;
    if (this.#flushed >= count) return;
    const beganAtMs = performance.now();
    await flush();
    this.flushes.observeMs(performance.now() - beganAtMs);
    this.#flushed = Math.max(this.#flushed, count);
  }
}
