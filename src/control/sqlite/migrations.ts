/** Versions of the schema: the control plane and each extension have tables, migrations and a version of their own. */
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";

export interface Migrations {
  /** Whose tables these are: the name in `schema_versions`. */
  name: string;
  /** Each entry takes the schema one version on. None is changed once it is released. */
  steps: readonly string[];
  /**
   * How many of the steps a database has from the time when there was one version for all tables, in SQLite's
   * `user_version`, by that number. Default: none.
   */
  stepsByUserVersion?: readonly number[];
}

/** `user_version` of a database that has versions by name. A program that knows only one version refuses it. */
const VERSIONS_BY_NAME = 5;
/** Entry of `schema_versions` that keeps the `user_version` from before; an extension may be added later. */
const FORMER_VERSION = "user_version";

export const CONTROL_MIGRATIONS: Migrations = {
  name: "control",
  steps: [
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
    "ALTER TABLE tokens RENAME COLUMN session_id TO group_id;",
  ],
  stepsByUserVersion: [0, 1, 2, 3, 3],
};

/** @throws TurnaboutError `config_invalid` if the database is of a newer version; an error of SQLite */
export function migrate(database: DatabaseSync, all: readonly Migrations[]): void {
  separateVersions(database);
  for (const { name, steps, stepsByUserVersion = [] } of all) {
    const former = versionOf(database, FORMER_VERSION) ?? 0;
    const recorded = versionOf(database, name);
    const version = recorded ?? stepsByUserVersion[former] ?? 0;
    if (version > steps.length) throw newer(`schema version ${version} of ${name}`, steps.length);
    if (recorded === undefined) database.exec(putVersion(name, version));
    for (const [index, sql] of steps.entries()) {
      if (index < version) continue;
      database.exec(`BEGIN IMMEDIATE; ${sql} ${putVersion(name, index + 1)} COMMIT;`);
    }
  }
}

/** Of the tables of that name; undefined if there are none yet. */
export function versionOf(database: DatabaseSync, name: string): number | undefined {
  const row = database.prepare("SELECT version FROM schema_versions WHERE name = ?").get(name);
  return row === undefined ? undefined : z.object({ version: z.int() }).parse(row).version;
}

function separateVersions(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA user_version").get();
  const { user_version: former } = z.object({ user_version: z.int() }).parse(row);
  if (former > VERSIONS_BY_NAME) throw newer(`schema version ${former}`, VERSIONS_BY_NAME);
  if (former === VERSIONS_BY_NAME) return;
  database.exec(`BEGIN IMMEDIATE;
    CREATE TABLE schema_versions (
      name TEXT PRIMARY KEY,
      version INTEGER NOT NULL
    ) STRICT;
    ${putVersion(FORMER_VERSION, former)}
    PRAGMA user_version = ${VERSIONS_BY_NAME};
    COMMIT;`);
}

/** @param name of the program's own: it is not escaped */
function putVersion(name: string, version: number): string {
  return `INSERT OR REPLACE INTO schema_versions (name, version) VALUES ('${name}', ${version});`;
}

function newer(found: string, known: number): TurnaboutError {
  return new TurnaboutError(
    "config_invalid",
    `the database has ${found}, this program knows ${known}: run the newer version`,
  );
}
