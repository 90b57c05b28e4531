/**
 * SQLite in the data directory (`node:sqlite`), or in memory where none is given. No request to a target touches it.
 * Migrations run forwards only, in one transaction each; a database of a newer version is refused.
 */
import { chmodSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import { FILE_NAME } from "./file-names.ts";
import { makeFolder } from "./make-folder.ts";
import { CONTROL_MIGRATIONS, migrate } from "./migrations.ts";
import type { Migrations } from "./migrations.ts";
import { text } from "./rows.ts";
import { unusable } from "./start-failure.ts";
import { StoreFailure } from "./store-failure.ts";

/** How long another process's lock (of a backup, say) is waited for at the start. Later it is never waited for. */
const START_BUSY_TIMEOUT_MS = 5_000;

/**
 * At the start.
 *
 * @param further tables of extensions
 * @throws TurnaboutError `config_invalid` if the directory or the database cannot be used
 */
export function openDatabase(
  dataDirectory: string | undefined,
  further: readonly Migrations[] = [],
): DatabaseSync {
  try {
    if (dataDirectory === undefined) return openFile(":memory:", further, 0);
    makeFolder(dataDirectory, 0o700);
    const database = openFile(path.join(dataDirectory, FILE_NAME), further, START_BUSY_TIMEOUT_MS);
    database.exec("PRAGMA busy_timeout = 0");
    checkpoint(database);
    return database;
  } catch (cause) {
    throw unusable(dataDirectory, "open", cause);
  }
}

/** The file itself has all that is committed so far, its tables too: a WAL that is damaged later takes only later changes along. */
function checkpoint(database: DatabaseSync): void {
  try {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // The disk is full, say. The first change reports it.
  }
}

/**
 * @param file path of the database, or `:memory:`
 * @throws TurnaboutError `config_invalid` if it is of a newer version; StoreFailure `corrupt`; an error of SQLite or of
 * the system
 */
export function openFile(file: string, further: readonly Migrations[], busyTimeoutMs: number): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  try {
    // Before there is anything in it; the files beside it take over its mode.
    if (file !== ":memory:") chmodSync(file, 0o600);
    // NORMAL: what has to survive a loss of power is flushed apart, before it is acknowledged.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    if (file !== ":memory:") checkIntegrity(database);
    migrate(database, [CONTROL_MIGRATIONS, ...further]);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * To be read where there is no room for the files that SQLite shares with other processes: meanwhile these are locked out.
 *
 * @throws as {@link openFile}
 */
export function openAlone(file: string, further: readonly Migrations[]): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE;");
    checkIntegrity(database);
    migrate(database, [CONTROL_MIGRATIONS, ...further]);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** @throws StoreFailure `corrupt`, an error of SQLite */
export function checkIntegrity(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA quick_check(1)").get();
  const { quick_check: result } = z.object({ quick_check: z.string() }).parse(row);
  if (result !== "ok") throw new StoreFailure("corrupt", new Error(result));
}

/** Random, made with the store: marks what this store's control plane has created elsewhere. */
export function storeId(database: DatabaseSync): string {
  const id = metaOf(database, "store_id");
  if (id === undefined) throw new TurnaboutError("config_invalid", "the database has no store id");
  return id;
}

/** Undefined for a name that has no value. @throws an error of SQLite */
export function metaOf(database: DatabaseSync, name: string): string | undefined {
  const row = database.prepare("SELECT value FROM meta WHERE name = ?").get(name);
  return row === undefined ? undefined : text(row, "value");
}
