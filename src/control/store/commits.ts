/** The commits of a store: their names in the database, and how many of them survive a loss of power. */
import { randomBytes } from "node:crypto";

/** Name of its row in the database's table `meta`. */
export const REVISION = "revision";

export class Commits {
  /** Names the last commit, in the database too: by it a copy of the database is known to be complete. */
  revision: string | undefined;
  readonly #prefix = randomBytes(6).toString("hex");
  #count = 0;
  #flushed = 0;

  /** The name of the next commit. */
  next(): string {
    return `${this.#prefix}-${this.#count}`;
  }

  committed(revision: string): void {
    this.revision = revision;
    this.#count += 1;
  }

  /** Resolves when all commits so far are flushed. */
  async flushed(flush: () => Promise<void>): Promise<void> {
    const count = this.#count;
    if (this.#flushed >= count) return;
    await flush();
    this.#flushed = Math.max(this.#flushed, count);
  }
}
