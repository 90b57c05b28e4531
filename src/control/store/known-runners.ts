/** Runners that have been connected: after a restart they are awaited for a while instead of being unknown. */
import { readRows, text } from "../sqlite/rows.ts";
import type { Statement } from "../sqlite/statement.ts";
import type { Store } from "./store.ts";

/** A runner that has not been seen for this long is no longer expected back. */
const REMEMBERED_MS: number = 24 * 60 * 60 * 1_000;
/** How often {@link KnownRunnerStore.stillThere} is due. */
export const REMEMBER_AGAIN_MS: number = 10 * 60 * 1_000;
/** In place of a credential; none has this name. */
const DISCOVERED = "";
/** Most that are awaited: as many as may be connected. */
const MOST = 10_000;

export interface KnownRunner {
  id: string;
  /** Undefined: it was discovered. */
  credential: string | undefined;
}

export class KnownRunnerStore {
  readonly #store: Store;
  readonly #put: Statement;
  readonly #touch: Statement;
  readonly #remove: Statement;
  readonly #recent: Statement;
  readonly #prune: Statement;

  constructor(store: Store) {
    this.#store = store;
    this.#put = store.prepare("INSERT OR REPLACE INTO runners (id, credential, last_seen) VALUES (?, ?, ?)");
    this.#touch = store.prepare("UPDATE runners SET last_seen = ? WHERE id = ?");
    this.#remove = store.prepare("DELETE FROM runners WHERE id = ?");
    this.#recent = store.prepare(
      "SELECT id, credential FROM runners WHERE last_seen > ? ORDER BY last_seen DESC LIMIT ?",
    );
    this.#prune = store.prepare("DELETE FROM runners WHERE last_seen <= ?");
  }

  /** @param connected those that are connected now: what is known of others ends with the database's file */
  onRecreate(connected: () => Iterable<KnownRunner>): void {
    this.#store.onRecreate(() => {
      for (const { id, credential } of connected()) this.#put.run(id, credential ?? DISCOVERED, Date.now());
    });
  }

  /** Without a credential it has no agent of its own: it was discovered. */
  seen(id: string, credential: string | undefined): void {
    const now = Date.now();
    this.#store.save(`runner ${id}`, () => this.#put.run(id, credential ?? DISCOVERED, now), true);
  }

  /** To be called now and then for those that stay connected: a killed process closes nothing. */
  stillThere(ids: Iterable<string>): void {
    const now = Date.now();
    for (const id of ids) {
      // A change to it that is not saved yet has its credential too.
      if (this.#store.isUnsaved(`runner ${id}`)) continue;
      this.#store.save(`runner ${id} last seen`, () => this.#touch.run(now, id), true);
    }
  }

  /** It will not come back. */
  forget(id: string): void {
    this.#store.save(`runner ${id}`, () => this.#remove.run(id), true);
  }

  /** At the start. */
  recent(): KnownRunner[] {
    const since = Date.now() - REMEMBERED_MS;
    this.#store.save("runners of the past", () => this.#prune.run(since), true);
    const rows = this.#recent.all(since, MOST);
    return readRows("runners", rows, (row) => {
      const credential = text(row, "credential");
      return { id: text(row, "id"), credential: credential === DISCOVERED ? undefined : credential };
    });
  }
}
