/**
 * The lock on a data directory: one process uses it at a time. The kernel holds it for an open file, so it ends with the
 * process however that ends, and it counts across containers that share the directory.
 */
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import { STORE_LOCK_POLL_MS } from "../limits.ts";
import { LOCK_FILE } from "./file-names.ts";
import { problemOf } from "./store-failure.ts";

/** For messages only: who holds the lock. It may be absent, outdated or damaged. */
const HOLDER_FILE = "lock-holder.json";

const holderSchema = z.object({ pid: z.int(), host: z.string().max(255), since: z.string().max(40) });

/**
 * Its file is an empty SQLite database that is kept in an exclusive transaction. Nothing else in this process may open it:
 * when a process closes any descriptor of a file, POSIX drops all of its locks on that file.
 */
export class DataDirectoryLock {
  readonly #directory: string;
  readonly #database: DatabaseSync;
  readonly #inode: bigint;

  private constructor(directory: string, database: DatabaseSync) {
    this.#directory = directory;
    this.#database = database;
    this.#inode = inodeOf(path.join(directory, LOCK_FILE));
  }

  /** Undefined if another process has it. @throws TurnaboutError `config_invalid`, an error of SQLite or of the system */
  static tryTake(directory: string): DataDirectoryLock | undefined {
    const file = path.join(directory, LOCK_FILE);
    const database = new DatabaseSync(file, { timeout: 0 });
    try {
      chmodSync(file, 0o600); // opens nothing
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;");
      const lock = new DataDirectoryLock(directory, database);
      lock.#introduce();
      return lock;
    } catch (error) {
      database.close();
      const problem = problemOf(error);
      if (problem === "locked") return undefined;
      throw problem === "corrupt" ? damaged(directory, error) : error;
    }
  }

  /**
   * Waits for another process to release it, without blocking this one.
   *
   * @throws TurnaboutError `config_invalid`, with the holder's pid; an error of SQLite or of the system
   */
  static async take(directory: string, waitMs: number): Promise<DataDirectoryLock> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const lock = DataDirectoryLock.tryTake(directory);
      if (lock !== undefined) return lock;
      if (performance.now() >= deadline) throw inUse(directory);
      await sleep(STORE_LOCK_POLL_MS);
    }
  }

  /** False if its file was removed or replaced: another process may take the lock of the new one. */
  get isInPlace(): boolean {
    return inodeOf(path.join(this.#directory, LOCK_FILE)) === this.#inode;
  }

  release(): void {
    try {
      // First: behind the release, the file would be the next holder's.
      if (this.isInPlace) rmSync(path.join(this.#directory, HOLDER_FILE), { force: true });
    } catch {
      // Only messages need it.
    }
    this.#database.close();
  }

  #introduce(): void {
    const holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
    const file = path.join(this.#directory, HOLDER_FILE);
    try {
      writeFileSync(file, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
    } catch {
      // Only messages need it: a full disk is no reason to refuse the start.
    }
  }
}

/** 0 if there is no such file. */
function inodeOf(file: string): bigint {
  return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
}

function damaged(directory: string, cause: unknown): TurnaboutError {
  return new TurnaboutError(
    "config_invalid",
    `data directory ${directory}: the file ${LOCK_FILE} is not ours`,
    {
      cause,
      hint: `remove ${path.join(directory, LOCK_FILE)}: it holds no data`,
    },
  );
}

function inUse(directory: string): TurnaboutError {
  return new TurnaboutError(
    "config_invalid",
    `data directory ${directory}: in use by ${holderOf(directory)}`,
    {
      hint: "stop that process first, or give this one a data directory of its own",
    },
  );
}

function holderOf(directory: string): string {
  try {
    const holder = holderSchema.parse(JSON.parse(readFileSync(path.join(directory, HOLDER_FILE), "utf8")));
    return `process ${holder.pid} on ${JSON.stringify(holder.host)} since ${holder.since}`;
  } catch {
    return "another process";
  }
}
