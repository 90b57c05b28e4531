/** Databases from the time when all tables had one version, in SQLite's `user_version`: the migrations as they were. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { tempPath } from "./temp.ts";

const FORMER_MIGRATIONS: readonly string[] = [
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

export const FORMER_VERSIONS: readonly number[] = FORMER_MIGRATIONS.map((_sql, index) => index + 1);

/** A data directory with a database of that version, in which each table has a row. */
export function formerDatabase(version: number): string {
  const directory = tempPath("-data");
  mkdirSync(directory);
  const database = new DatabaseSync(join(directory, "turnabout.db"));
  for (const sql of FORMER_MIGRATIONS.slice(0, version)) database.exec(sql);
  database.exec(`PRAGMA user_version = ${version};
    INSERT INTO tokens (id, kind, sha256, session_id, runners, created_at)
    VALUES ('t', 'runner', 'hash', 'ses_1', '["sandbox-ses_1"]', 1);
    INSERT INTO runners (id, credential, last_seen) VALUES ('r', 't', ${Date.now()});
    INSERT INTO sessions (id, owner, name, instance_id, state, spec, created_at, updated_at)
    VALUES ('ses_1', 'alice', 'n', 'a', 'running', '{"width":1,"height":2,"refreshRate":3}', 1, 1);
    INSERT INTO instances (id, name, max_sandboxes, disk_alert, created_at, updated_at)
    VALUES ('a', 'Wolf a', 7, 'critical', 1, 1)`);
  if (version >= 2) database.exec("UPDATE meta SET value = 'former' WHERE name = 'store_id'");
  if (version >= 3) database.exec("INSERT INTO revoked_tokens (sha256, revoked_at) VALUES ('revoked', 1)");
  database.close();
  return directory;
}
