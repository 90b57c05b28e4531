/**
 * The open database in its directory. SQLite writes on into a file that was removed or renamed, without an error; here it is
 * compared with the file at its path before each change, so that no change is acknowledged that a restart would not find.
 */
import { closeSync, fsyncSync, openSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { checkIntegrity } from "./database.ts";
import { FILES_BESIDE } from "./file-names.ts";
import { GroupSync } from "./group-sync.ts";
import { StoreFailure } from "./store-failure.ts";

interface FileState {
  device: bigint;
  inode: bigint;
  /** In WAL mode the file itself is only written by checkpoints, which are ours. */
  changedAtNs: bigint;
}

export class OpenedDatabase {
  readonly database: DatabaseSync;
  /** Undefined: in memory. */
  readonly #file: string | undefined;
  readonly #state: FileState | undefined;
  /** Of the WAL and of the memory shared with other processes. Without them here, others would not see what is committed. */
  readonly #beside: readonly FileState[] = [];
  #wal: Promise<FileHandle> | undefined;
  #closed = false;
  readonly #flush = new GroupSync(() => this.#flushWal());

  /** @param file where the database is; undefined: in memory */
  constructor(database: DatabaseSync, file: string | undefined) {
    this.database = database;
    this.#file = file;
    if (file === undefined) return;
    this.#state = stateOf(file);
    this.#beside = FILES_BESIDE.flatMap((suffix) => stateOf(file + suffix) ?? []);
    flushDirectory(path.dirname(file));
  }

  /** @throws StoreFailure if the file is not at its path, or another program has damaged it; an error of the system */
  check(): void {
    if (this.#file === undefined || this.#state === undefined) return;
    const now = stateOf(this.#file);
    if (now === undefined) throw new StoreFailure("missing");
    if (!isSameFile(now, this.#state)) throw new StoreFailure("replaced");
    if (this.isIncomplete) throw new StoreFailure("missing");
    if (now.changedAtNs === this.#state.changedAtNs) return;
    this.#checkContents(this.#file);
    this.#state.changedAtNs = now.changedAtNs;
  }

  /** Of the file, not of the pages that this connection has in memory. */
  #checkContents(file: string): void {
    const reader = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    try {
      checkIntegrity(reader);
    } finally {
      reader.close();
    }
  }

  /** A change was committed, perhaps with a checkpoint. */
  committed(): void {
    const now = this.#file === undefined ? undefined : stateOf(this.#file);
    if (now !== undefined && this.#state !== undefined && isSameFile(now, this.#state)) {
      this.#state.changedAtNs = now.changedAtNs;
    }
  }

  /** A file beside it was removed or replaced. */
  get isIncomplete(): boolean {
    if (this.#file === undefined) return false;
    const beside = FILES_BESIDE.flatMap((suffix) => stateOf(this.#file + suffix) ?? []);
    return !this.#beside.every((file) => beside.some((other) => isSameFile(file, other)));
  }

  /** All that is committed goes to the database itself. @throws StoreFailure `locked`, an error of SQLite */
  checkpoint(): void {
    const row = this.database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (row?.["busy"] !== 0) throw new StoreFailure("locked");
  }

  /** Another file is at its path. */
  get isReplaced(): boolean {
    const now = this.#file === undefined ? undefined : stateOf(this.#file);
    return now !== undefined && this.#state !== undefined && !isSameFile(now, this.#state);
  }

  /** Resolves when all that was committed before this call survives a loss of power. @throws an error of the system */
  async flush(): Promise<void> {
    if (this.#file !== undefined) await this.#flush.run();
  }

  close(): void {
    this.#closed = true;
    this.database.close();
    this.#wal?.then((wal) => wal.close()).catch(() => {});
    this.#wal = undefined;
  }

  /** No lock is on the WAL itself, so that it may be opened here. */
  async #flushWal(): Promise<void> {
    if (this.#closed) return; // which flushes
    this.#wal ??= open(`${this.#file}-wal`, "r");
    try {
      const wal = await this.#wal;
      await wal.datasync();
    } catch (error) {
      this.#wal = undefined;
      throw error;
    }
  }
}

function stateOf(file: string): FileState | undefined {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats && { device: stats.dev, inode: stats.ino, changedAtNs: stats.mtimeNs };
}

function isSameFile(one: FileState, other: FileState): boolean {
  return one.inode === other.inode && one.device === other.device;
}

/** The names of new files survive a loss of power. */
function flushDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
