/** Runners that have been connected: after a restart they are awaited for a while instead of being unknown. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { text } from "./rows.ts";

/** A runner that has not been seen for this long is no longer expected back. */
const REMEMBERED_MS: number = 24 * 60 * 60 * 1_000;
/** How often {@link KnownRunnerStore.stillThere} is due. */
export const REMEMBER_AGAIN_MS: number = 10 * 60 * 1_000;
/** In place of a credential; none has this name. */
const DISCOVERED = "";
/** Most that are awaited: as many as may be connected. */
const MOST = 10_000;

export class KnownRunnerStore {
  readonly #put: StatementSync;
  readonly #touch: StatementSync;
  readonly #remove: StatementSync;
  readonly #recent: StatementSync;
  readonly #prune: StatementSync;

  constructor(database: DatabaseSync) {
    this.#put = database.prepare(
      "INSERT OR REPLACE INTO runners (id, credential, last_seen) VALUES (?, ?, ?)",
    );
    this.#touch = database.prepare("UPDATE runners SET last_seen = ? WHERE id = ?");
    this.#remove = database.prepare("DELETE FROM runners WHERE id = ?");
    this.#recent = database.prepare(
      "SELECT id, credential FROM runners WHERE last_seen > ? ORDER BY last_seen DESC LIMIT ?",
    );
    this.#prune = database.prepare("DELETE FROM runners WHERE last_seen <= ?");
  }

  /** Without a credential it has no agent of its own: it was discovered. */
  seen(id: string, credential: string | undefined): void {
    this.#put.run(id, credential ?? DISCOVERED, Date.now());
  }

  /** To be called now and then for those that stay connected: a killed process closes nothing. */
  stillThere(ids: Iterable<string>): void {
    const now = Date.now();
    for (const id of ids) this.#touch.run(now, id);
  }

  /** It will not come back. */
  forget(id: string): void {
    this.#remove.run(id);
  }

  recent(): { id: string; credential: string | undefined }[] {
    const since = Date.now() - REMEMBERED_MS;
    this.#prune.run(since);
    return this.#recent
      .all(since, MOST)
      .map((row) => ({ id: text(row, "id"), credential: text(row, "credential") }))
      .map(({ id, credential }) => ({ id, credential: credential === DISCOVERED ? undefined : credential }));
  }
}
