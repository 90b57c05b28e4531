/** The files of a store: the database, and the lock on its directory. Opened, checked, repaired, handed over. */
import { existsSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { toError } from "../../wire/errors.ts";
import { STORE_LOCK_POLL_MS } from "../limits.ts";
import { DataDirectoryLock } from "./data-directory-lock.ts";
import { openAlone, openDatabase, openFile } from "./database.ts";
import { FILE_NAME, FILES_BESIDE } from "./file-names.ts";
import type { Migrations } from "./migrations.ts";
import { OpenedDatabase } from "./opened-database.ts";
import { unusable } from "./start-failure.ts";
import type { StartPhase } from "./start-failure.ts";
import { problemOf, StoreFailure } from "./store-failure.ts";
import type { StoreProblem } from "./store-failure.ts";
import { inTransaction } from "./transaction.ts";

/** Problems that a new connection may not have. */
const REOPENED: ReadonlySet<StoreProblem> = new Set(["failing", "corrupt"]);

export class StoreFiles {
  readonly #directory: string | undefined;
  readonly #file: string | undefined;
  readonly #migrations: readonly Migrations[];
  #opened: OpenedDatabase | undefined;
  #lock: DataDirectoryLock | undefined;
  #isReleased = false;
  /** While a database that another process has is read. */
  #reader: DatabaseSync | undefined;
  /** Why the database could only be opened to be read, at the start. */
  #startFailure: Error | undefined;

  /** @throws TurnaboutError `config_invalid` */
  constructor(
    directory: string | undefined,
    migrations: readonly Migrations[],
    lock: DataDirectoryLock | undefined,
  ) {
    this.#directory = directory;
    this.#file = directory === undefined ? undefined : path.join(directory, FILE_NAME);
    this.#migrations = migrations;
    this.#lock = lock;
    this.#opened = new OpenedDatabase(this.#openAtStart(), this.#file);
  }

  /** Nothing can be saved yet: the disk was full at the start. */
  get startFailure(): Error | undefined {
    return this.#startFailure;
  }

  /** The one that is open now. @throws StoreFailure if there is none */
  get database(): DatabaseSync {
    if (this.#reader !== undefined) return this.#reader;
    if (this.#opened === undefined) throw new StoreFailure(this.#isReleased ? "released" : "failing");
    return this.#opened.database;
  }

  get isOnDisk(): boolean {
    return this.#directory !== undefined;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Before a change. @throws StoreFailure if it would not be found at the next start; an error of the system */
  check(): void {
    if (this.#startFailure !== undefined) throw this.#startFailure;
    this.#opened?.check();
    this.#keepLock();
  }

  committed(): void {
    this.#opened?.committed();
  }

  /** Resolves when all that was committed survives a loss of power. @throws an error of the system */
  async flush(): Promise<void> {
    await this.#opened?.flush();
  }

  /**
   * What can be done about a problem: a database whose file was removed is written anew, unless its directory is gone too;
   * one that has failed is opened anew, and so is a complete copy in its place.
   *
   * @param isCopy whether a database has all that was ever committed
   * @param fill puts everything into an empty database
   * @throws StoreFailure, an error of SQLite or of the system
   */
  repair(problem: StoreProblem, isCopy: (database: DatabaseSync) => boolean, fill: () => void): void {
    const directory = this.#directory;
    const file = this.#file;
    if (directory === undefined || file === undefined || this.#isReleased) return;
    if (!existsSync(directory)) throw new StoreFailure("missing");
    this.#keepLock();
    if (!existsSync(file)) return this.#recreate(file, fill);
    if (this.#startFailure !== undefined) return this.#openFully(file);
    if (this.#opened?.isReplaced === true) {
      if (!readFrom(file, isCopy)) throw new StoreFailure("replaced");
      return this.#replaceBy(file, isCopy);
    }
    if (this.#opened?.isIncomplete === true) return this.#complete(file);
    if (this.#opened === undefined || REOPENED.has(problem)) this.#replaceBy(file, isCopy);
  }

  /** For another process: first the database, then the lock. */
  release(): void {
    this.#isReleased = true;
    this.close();
  }

  /** @throws TurnaboutError `config_invalid` if another process keeps the directory, or it can no longer be used */
  async reclaim(waitMs: number): Promise<void> {
    const directory = this.#directory;
    if (directory === undefined || !this.#isReleased) return;
    const deadline = performance.now() + waitMs;
    let phase: StartPhase = "lock";
    try {
      const lock = await DataDirectoryLock.take(directory, waitMs);
      phase = "open";
      try {
        this.#opened = await this.#openUntil(path.join(directory, FILE_NAME), deadline);
      } catch (error) {
        lock.release();
        throw error;
      }
      this.#lock = lock;
      this.#isReleased = false;
    } catch (cause) {
      throw unusable(directory, phase, cause);
    }
  }

  /** Opens the database of the process that has it now for `work`, to be read. @throws an error of SQLite, or of `work` */
  readReleased(work: () => void): void {
    if (this.#file === undefined || !this.#isReleased || this.#opened !== undefined) return;
    const database = new DatabaseSync(this.#file, { readOnly: true, timeout: 0 });
    this.#reader = database;
    try {
      work();
    } finally {
      this.#reader = undefined;
      database.close();
    }
  }

  close(): void {
    this.#opened?.close();
    this.#opened = undefined;
    this.#lock?.release();
    this.#lock = undefined;
  }

  /** @throws TurnaboutError `config_invalid` */
  #openAtStart(): DatabaseSync {
    try {
      return openDatabase(this.#directory, this.#migrations);
    } catch (error) {
      const cause = toError((error as Error).cause);
      const problem = problemOf(cause);
      if (this.#file === undefined || (problem !== "full" && problem !== "failing")) throw error;
      try {
        const database = openAlone(this.#file, this.#migrations);
        this.#startFailure = cause;
        return database;
      } catch {
        throw error;
      }
    }
  }

  /** First the new one: where it cannot be opened, the former may still have what the file lacks. */
  #replaceBy(file: string, isCopy: (database: DatabaseSync) => boolean): void {
    const opened = this.#openAgain(file);
    if (!isCopy(opened.database)) {
      opened.close();
      throw new StoreFailure("replaced");
    }
    this.#opened?.close();
    this.#opened = opened;
  }

  /** Its WAL is no longer beside it: SQLite makes a new one only for a database that no connection has open. */
  #complete(file: string): void {
    this.#opened?.checkpoint();
    this.#opened?.close();
    this.#opened = undefined;
    this.#opened = this.#openAgain(file);
  }

  /** What was opened to be read only locks itself out too: it is closed first. */
  #openFully(file: string): void {
    this.#opened?.close();
    this.#opened = undefined;
    this.#opened = this.#openAgain(file);
    this.#startFailure = undefined;
  }

  /** If the lock's file was removed, that of a new one is as good, unless another process was faster. */
  #keepLock(): void {
    if (this.#directory === undefined || this.#lock === undefined || this.#lock.isInPlace) return;
    const lock = tryLock(this.#directory);
    this.#lock.release();
    this.#lock = lock;
  }

  async #openUntil(file: string, deadline: number): Promise<OpenedDatabase> {
    for (;;) {
      try {
        return this.#openAgain(file);
      } catch (error) {
        if (problemOf(error) !== "locked" || performance.now() >= deadline) throw error;
        await sleep(STORE_LOCK_POLL_MS);
      }
    }
  }

  #openAgain(file: string): OpenedDatabase {
    if (!existsSync(file)) throw new StoreFailure("missing"); // SQLite would create it
    return new OpenedDatabase(openFile(file, this.#migrations, 0), file);
  }

  /** Under another name until it is complete: a half-written one would be taken for the store at the next start. */
  #recreate(file: string, fill: () => void): void {
    const draft = `${file}.new`;
    for (const suffix of ["", ...FILES_BESIDE]) rmSync(draft + suffix, { force: true });
    const former = this.#opened;
    const database = openFile(draft, this.#migrations, 0);
    this.#opened = new OpenedDatabase(database, draft);
    try {
      inTransaction(database, fill);
    } catch (error) {
      database.close();
      rmSync(draft, { force: true });
      throw error;
    } finally {
      this.#opened = former;
    }
    database.close();
    former?.close();
    this.#opened = undefined;
    // Left over from the removed file; SQLite would apply them to the new one.
    for (const suffix of FILES_BESIDE) rmSync(file + suffix, { force: true });
    renameSync(draft, file);
    this.#startFailure = undefined;
    this.#opened = this.#openAgain(file);
  }
}

/** @throws StoreFailure `in-use`, an error of SQLite or of the system */
function tryLock(directory: string): DataDirectoryLock {
  try {
    const lock = DataDirectoryLock.tryTake(directory);
    if (lock !== undefined) return lock;
  } catch (error) {
    if (problemOf(error) !== undefined) throw error;
  }
  throw new StoreFailure("in-use");
}

/** False if it is no database. */
function readFrom(file: string, check: (database: DatabaseSync) => boolean): boolean {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 });
  try {
    return check(database);
  } catch {
    return false;
  } finally {
    database.close();
  }
}
