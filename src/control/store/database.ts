/**
 * SQLite in the data directory (`node:sqlite`), or in memory where none is given. No request to a target touches it.
 * Migrations run forwards only, in one transaction each; a database of a newer version is refused.
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TurnaboutError } from "../../wire/errors.ts";
import { makeFolder } from "./make-folder.ts";
import { CONTROL_MIGRATIONS, migrate } from "./migrations.ts";
import type { Migrations } from "./migrations.ts";
import { text } from "./rows.ts";

export const FILE_NAME = "turnabout.db";

/** How long another process's lock (of a backup, say) is waited for. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * @param further tables of extensions
 * @throws TurnaboutError `config_invalid` if the directory or the database cannot be used
 */
export function openDatabase(
  dataDirectory: string | undefined,
  further: readonly Migrations[] = [],
): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (dataDirectory !== undefined) makeFolder(dataDirectory, 0o700);
    const path = dataDirectory === undefined ? ":memory:" : join(dataDirectory, FILE_NAME);
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    // Before there is anything in it; the files beside it take over its mode.
    if (dataDirectory !== undefined) chmodSync(path, 0o600);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    migrate(database, [CONTROL_MIGRATIONS, ...further]);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof TurnaboutError) throw cause;
    const reason = (cause as Error).message;
    throw new TurnaboutError("config_invalid", `data directory ${dataDirectory}: ${reason}`, { cause });
  }
}

/** Random, made with the store: marks what this store's control plane has created elsewhere. */
export function storeId(database: DatabaseSync): string {
  const row = database.prepare("SELECT value FROM meta WHERE name = 'store_id'").get();
  if (row === undefined) throw new TurnaboutError("config_invalid", "the database has no store id");
  return text(row, "value");
}
