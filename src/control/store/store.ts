/**
 * What survives a restart. The control plane reads it once, at its start, and works from memory: no request to a target
 * waits for the disk. A change is saved at once where the disk allows it, otherwise it is refused ({@link Store.write}) or
 * saved later ({@link Store.save}).
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { DatabaseSync } from "node:sqlite";
import { toError } from "../../wire/errors.ts";
import { silentLogger } from "../../wire/log.ts";
import type { Logger } from "../../wire/log.ts";
import { STORE_REOPEN_WAIT_MS, STORE_RETRY_MS, UNSAVED_CHANGES_AT_ONCE } from "./limits.ts";
import type { DataDirectoryLock } from "../sqlite/data-directory-lock.ts";
import { metaOf, storeId } from "../sqlite/database.ts";
import { Commits, REVISION } from "./commits.ts";
import { DeferredWrites } from "./deferred-writes.ts";
import type { Migrations } from "../sqlite/migrations.ts";
import { Statement } from "../sqlite/statement.ts";
import { problemOf, StoreFailure, unavailable } from "../sqlite/store-failure.ts";
import type { StoreProblem } from "../sqlite/store-failure.ts";
import { StoreFiles } from "../sqlite/store-files.ts";
import { inTransaction } from "../sqlite/transaction.ts";
import { StoreHealth } from "./store-health.ts";
import { SuccessorChanges } from "./successor-changes.ts";

export interface StoreOptions {
  /** Undefined: in memory. */
  directory?: string | undefined;
  /** Tables of extensions. */
  migrations?: readonly Migrations[] | undefined;
  log?: Logger | undefined;
}

export class Store {
  /** Random, made with the store: marks what this control plane has created elsewhere. */
  readonly id: string;
  /** Another process that has the directory, after {@link release}. */
  readonly successor: SuccessorChanges;
  readonly #files: StoreFiles;
  readonly #health: StoreHealth;
  readonly #log: Logger;
  readonly #unsaved = new DeferredWrites();
  readonly #contents: (() => void)[] = [];
  readonly #reloads: (() => void)[] = [];
  readonly #setMeta: Statement;
  #closed = false;
  #isWriting = false;
  #isRepairing = false;
  readonly commits: Commits = new Commits();
  #timer: NodeJS.Timeout | undefined;
  #reopening: Promise<void> | undefined;

  /** Without a directory in memory; with one through `openStore()`. @throws TurnaboutError `config_invalid` */
  constructor(options: StoreOptions = {}, lock?: DataDirectoryLock) {
    const { directory, migrations = [], log = silentLogger } = options;
    this.#log = log;
    this.#files = new StoreFiles(directory, migrations, lock);
    this.#health = new StoreHealth(directory, log);
    this.successor = new SuccessorChanges(this.#files, this.commits, log);
    this.id = storeId(this.#files.database);
    this.commits.revision = metaOf(this.#files.database, REVISION);
    this.#setMeta = this.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)");
    this.onRecreate(() => this.#setMeta.run("store_id", this.id));
    this.#noteProblem(this.#files.startFailure);
  }

  /** Why nothing can be saved now; undefined while all is well. */
  get problem(): StoreProblem | undefined {
    return this.#health.problem;
  }

  /** The same, after a look at the files: what befell them while nothing was saved is found too. */
  inspect(): StoreProblem | undefined {
    try {
      if (this.problem === undefined && !this.#closed) this.#files.check();
    } catch (error) {
      this.#noteProblem(error);
    }
    return this.problem;
  }

  /** Changes that are to be saved later. */
  get unsaved(): number {
    return this.#unsaved.size;
  }

  prepare(sql: string): Statement {
    return new Statement(() => this.#files.database, sql);
  }

  /** @param saveAll writes all rows of its tables from memory, into an empty database */
  onRecreate(saveAll: () => void): void {
    this.#contents.push(saveAll);
  }

  /** @param reload reads all rows again: another process has had the directory, and has changed them */
  onReload(reload: () => void): void {
    this.#reloads.push(reload);
  }

  /**
   * One transaction, for a change that counts only if it is saved.
   *
   * @param what phase and subject, for messages
   * @throws TurnaboutError `store_unavailable`; what `work` throws
   */
  write<T>(what: string, work: () => T): T {
    try {
      const result = this.#transact(work);
      this.#health.recovered();
      return result;
    } catch (cause) {
      throw this.#refusal(what, cause);
    }
  }

  /**
   * One transaction, for a change that counts already: where it cannot be saved now, it is tried again until it can. Never
   * throws.
   *
   * @param key subject; a later change to it takes the place of this one
   * @param work writes what memory holds when it is called
   * @param isDisposable it may be dropped if there are too many that cannot be saved
   */
  save(key: string, work: () => void, isDisposable = false): void {
    if (this.#closed) return;
    try {
      this.#transact(work);
      this.#unsaved.delete(key);
      this.#health.recovered();
    } catch (error) {
      if (this.#noteProblem(error) === undefined) this.#reportFault(key, error);
      else this.#unsaved.set(key, work, isDisposable);
    }
  }

  /** The last change to this subject by {@link save} is not saved yet. */
  isUnsaved(key: string): boolean {
    return this.#unsaved.has(key);
  }

  /**
   * Resolves when all changes so far are saved and survive a loss of power: before it, none is acknowledged.
   *
   * @param what phase and subject, for messages
   * @throws TurnaboutError `store_unavailable`
   */
  async settled(what: string): Promise<void> {
    try {
      while (this.#unsaved.needed > 0) {
        this.#saveSome();
        await nextTurn();
      }
      await this.commits.flushed(() => this.#files.flush());
    } catch (cause) {
      throw this.#refusal(what, cause);
    }
  }

  /** Closes the database and then the lock, for another process. Until {@link reopen} nothing can be saved. */
  release(): void {
    if (this.#closed || !this.#files.isOnDisk || this.#files.isReleased) return;
    this.#saveRest();
    this.#files.release();
    this.#health.released();
  }

  /** Opens the directory again. @throws TurnaboutError `config_invalid` if another process keeps it, or it cannot be used */
  async reopen(): Promise<void> {
    if (this.#closed || !this.#files.isReleased) return;
    this.#reopening ??= this.#reclaim().finally(() => (this.#reopening = undefined));
    await this.#reopening;
  }

  close(): void {
    if (this.#closed) return;
    this.#saveRest();
    this.#closed = true;
    this.successor.stop();
    clearTimeout(this.#timer);
    this.#files.close();
  }

  async #reclaim(): Promise<void> {
    this.successor.stop();
    await this.#files.reclaim(STORE_REOPEN_WAIT_MS);
    if (this.#closed) return this.#files.close();
    this.#health.recovered();
    const revision = metaOf(this.#files.database, REVISION);
    if (revision !== this.commits.revision) for (const reload of this.#reloads) reload();
    this.commits.revision = revision;
    if (this.#unsaved.size > 0) this.#retryIn(0);
  }

  #transact<T>(work: () => T): T {
    if (this.#isWriting) return work();
    const { database } = this.#files;
    // Found by reading all of it: too much for each change.
    if (this.problem === "corrupt" && !this.#isRepairing) throw new StoreFailure("corrupt");
    this.#files.check();
    this.#isWriting = true;
    try {
      const revision = this.commits.next();
      const result = inTransaction(database, () => {
        this.#setMeta.run(REVISION, revision);
        return work();
      });
      this.commits.committed(revision);
      this.#files.committed();
      return result;
    } finally {
      this.#isWriting = false;
    }
  }

  /** The oldest of the changes that are not saved. @throws as {@link #transact} */
  #saveSome(): void {
    const changes = this.#unsaved.first(UNSAVED_CHANGES_AT_ONCE);
    this.#transact(() => {
      for (const [, work] of changes) work();
    });
    for (const [key] of changes) this.#unsaved.delete(key);
    this.#health.recovered();
  }

  /** Before the database is closed. */
  #saveRest(): void {
    try {
      while (this.#unsaved.size > 0) this.#saveSome();
    } catch (error) {
      this.#noteProblem(error);
      const fields = { changes: this.#unsaved.size, reason: toError(error).message };
      this.#log.warn(fields, "store: closed before all changes were saved");
    }
  }

  #retryIn(delayMs: number): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#retry(), delayMs);
    this.#timer.unref();
  }

  #retry(): void {
    this.#timer = undefined;
    if (this.#files.isReleased) return;
    this.#isRepairing = true;
    try {
      this.#repair();
      if (this.#unsaved.size > 0) this.#saveSome();
      else this.#transact(() => {}); // which writes its revision
      this.#health.recovered();
      if (this.#unsaved.size > 0) this.#retryIn(0);
    } catch (error) {
      if (this.#noteProblem(error) === undefined) this.#saveEach();
      this.#retryIn(STORE_RETRY_MS);
    } finally {
      this.#isRepairing = false;
    }
  }

  #repair(): void {
    if (this.problem === undefined) return;
    const isCopy = (database: DatabaseSync): boolean =>
      metaOf(database, "store_id") === this.id && metaOf(database, REVISION) === this.commits.revision;
    this.#files.repair(this.problem, isCopy, () => {
      for (const saveAll of this.#contents) saveAll();
    });
  }

  /** Each alone: one that the database does not take may not hold up the others. */
  #saveEach(): void {
    for (const [key, work] of this.#unsaved.first(UNSAVED_CHANGES_AT_ONCE)) {
      try {
        this.#transact(work);
        this.#unsaved.delete(key);
      } catch (error) {
        if (this.#noteProblem(error) !== undefined) return;
        this.#reportFault(key, error);
      }
    }
  }

  #refusal(what: string, cause: unknown): unknown {
    const problem = this.#noteProblem(cause);
    return problem === undefined ? cause : unavailable(what, problem, cause);
  }

  /** Undefined if the error is no problem of the store. */
  #noteProblem(error: unknown): StoreProblem | undefined {
    const problem = problemOf(error);
    if (problem === undefined) return undefined;
    if (problem !== "released") this.#health.failed(problem, error);
    this.#retryIn(STORE_RETRY_MS);
    return problem;
  }

  #reportFault(key: string, error: unknown): void {
    this.#unsaved.delete(key);
    this.#log.error({ change: key, err: error }, "store: a change was not saved");
  }
}
