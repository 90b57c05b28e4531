/**
 * SQLite in the data directory (`node:sqlite`), or in memory where none is given. Nothing on the data path touches it.
 * Migrations run forwards only, in one transaction each; a database of a newer version is refused.
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TurnaboutError } from "../../wire/errors.ts";
import { makeFolder } from "./make-folder.ts";
import { text } from "./rows.ts";

export const FILE_NAME = "turnabout.db";

/** Waiting for another process's lock (a backup, say) before giving up. */
const BUSY_TIMEOUT_MS = 5_000;

/** Each entry takes the schema one version on; none is ever changed once released. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE tokens (
     id TEXT PRIMARY KEY,
     kind TEXT NOT NULL,
     sha256 TEXT NOT NULL UNIQUE,
     owner TEXT,
     session_id TEXT,
     runners TEXT NOT NULL,
     targets TEXT,
     created_at INTEGER NOT NULL,
     expires_at INTEGER
   ) STRICT;
   CREATE INDEX tokens_owner ON tokens(owner);
   CREATE TABLE instances (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL,
     max_sandboxes INTEGER NOT NULL,
     gpu_vendor TEXT,
     render_node TEXT,
     privileged INTEGER NOT NULL DEFAULT 0,
     desktop_versions TEXT NOT NULL DEFAULT '{}',
     disk_usage TEXT NOT NULL DEFAULT '[]',
     container_usage TEXT NOT NULL DEFAULT '[]',
     disk_alert TEXT NOT NULL DEFAULT 'ok',
     boot_epoch_ms INTEGER NOT NULL DEFAULT 0,
     last_heartbeat INTEGER,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE sessions (
     id TEXT PRIMARY KEY,
     owner TEXT NOT NULL,
     name TEXT NOT NULL,
     instance_id TEXT NOT NULL,
     lobby_id TEXT,
     lobby_pin TEXT,
     state TEXT NOT NULL,
     reason TEXT,
     spec TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX sessions_owner ON sessions(owner);
   CREATE INDEX sessions_instance ON sessions(instance_id);
   CREATE TABLE runners (
     id TEXT PRIMARY KEY,
     credential TEXT NOT NULL,
     last_seen INTEGER NOT NULL
   ) STRICT;`,
  `CREATE TABLE meta (
     name TEXT PRIMARY KEY,
     value TEXT NOT NULL
   ) STRICT;
   INSERT INTO meta (name, value) VALUES ('store_id', lower(hex(randomblob(8))));`,
  `CREATE TABLE revoked_tokens (
     sha256 TEXT PRIMARY KEY,
     revoked_at INTEGER NOT NULL
   ) STRICT;`,
  `ALTER TABLE instances ADD COLUMN disk_reported_at INTEGER;
   ALTER TABLE instances ADD COLUMN gpus TEXT NOT NULL DEFAULT '[]';
   ALTER TABLE instances ADD COLUMN gpu_alert TEXT NOT NULL DEFAULT 'ok';
   ALTER TABLE instances ADD COLUMN gpus_reported_at INTEGER;`,
];

/** @throws TurnaboutError `config_invalid` if the directory or the database cannot be used */
export function openDatabase(dataDirectory: string | undefined): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (dataDirectory !== undefined) makeFolder(dataDirectory, 0o700);
    const path = dataDirectory === undefined ? ":memory:" : join(dataDirectory, FILE_NAME);
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    // Before there is anything in it; the files beside it take over its mode.
    if (dataDirectory !== undefined) chmodSync(path, 0o600);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    migrate(database);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof TurnaboutError) throw cause;
    const reason = (cause as Error).message;
    throw new TurnaboutError("config_invalid", `data directory ${dataDirectory}: ${reason}`, { cause });
  }
}

/** Random, made with the store: what it has caused elsewhere can be told from what another one has. */
export function storeId(database: DatabaseSync): string {
  const row = database.prepare("SELECT value FROM meta WHERE name = 'store_id'").get();
  if (row === undefined) throw new TurnaboutError("config_invalid", "the database has no store id");
  return text(row, "value");
}

function migrate(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA user_version").get();
  const version = Number(row?.["user_version"] ?? 0);
  if (version > MIGRATIONS.length) {
    throw new TurnaboutError(
      "config_invalid",
      `the database has schema version ${version}, this program knows ${MIGRATIONS.length}: run the newer version`,
    );
  }
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version) continue;
    database.exec(`BEGIN IMMEDIATE; ${sql} PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
}
