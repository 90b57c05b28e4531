import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { tempPath } from "../../../test/support/temp.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { FILE_NAME, MIGRATIONS, openDatabase, storeId } from "./database.ts";
import { InstanceStore } from "../../helix/store/instances.ts";
import { SessionStore } from "../../helix/store/sessions.ts";
import { IssuedTokenStore } from "./tokens.ts";

/** A directory with a database of an older version. */
function older(version: number): string {
  const directory = tempPath("-data");
  mkdirSync(directory);
  const database = new DatabaseSync(join(directory, FILE_NAME));
  for (const sql of MIGRATIONS.slice(0, version)) database.exec(sql);
  database.exec(`PRAGMA user_version = ${version}`);
  database.close();
  return directory;
}

function versionOf(database: DatabaseSync): unknown {
  return database.prepare("PRAGMA user_version").get()?.["user_version"];
}

describe("openDatabase", () => {
  it("takes every older version to the present one, and keeps what is in it", () => {
    for (let version = 1; version <= MIGRATIONS.length; version += 1) {
      const directory = older(version);
      const file = new DatabaseSync(join(directory, FILE_NAME));
      file.exec(`INSERT INTO tokens (id, kind, sha256, runners, created_at) VALUES ('t', 'user', 'hash', '[]', 1);
        INSERT INTO sessions (id, owner, name, instance_id, state, spec, created_at, updated_at)
        VALUES ('ses_1', 'alice', 'n', 'a', 'running', '{"width":1,"height":2,"refreshRate":3}', 1, 1);
        INSERT INTO instances (id, name, max_sandboxes, disk_alert, created_at, updated_at)
        VALUES ('a', 'Wolf a', 7, 'critical', 1, 1)`);
      file.close();
      const database = openDatabase(directory);
      assert.equal(versionOf(database), MIGRATIONS.length);
      assert.deepEqual(
        new IssuedTokenStore(database).list().map(({ id }) => id),
        ["t"],
      );
      assert.equal(new SessionStore(database).get("ses_1")?.spec.refreshRate, 3);
      assert.match(storeId(database), /^[0-9a-f]{16}$/);
      const { maxSandboxes, diskAlert, diskReportedAtMs, gpus, gpuAlert } =
        new InstanceStore(database).get("a") ?? assert.fail("no instance");
      assert.deepEqual(
        [maxSandboxes, diskAlert, diskReportedAtMs, gpus, gpuAlert],
        [7, "critical", undefined, [], "ok"],
      );
      database.close();
    }
  });

  it("names its store once and for all", () => {
    const directory = tempPath("-data");
    const first = openDatabase(directory);
    const id = storeId(first);
    first.close();
    const second = openDatabase(directory);
    assert.equal(storeId(second), id);
    second.close();
    const other = openDatabase(undefined);
    assert.notEqual(storeId(other), id);
    other.close();
  });

  it("refuses a newer version and leaves it as it is", () => {
    const directory = older(MIGRATIONS.length);
    const file = new DatabaseSync(join(directory, FILE_NAME));
    file.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    assert.throws(
      () => openDatabase(directory),
      (error) =>
        error instanceof TurnaboutError && /schema version \d+, this program knows \d+/.test(error.message),
    );
    assert.equal(versionOf(file), MIGRATIONS.length + 1);
    file.close();
  });

  it("leaves a version whole where a migration fails", () => {
    const directory = older(1);
    const file = new DatabaseSync(join(directory, FILE_NAME));
    file.exec("CREATE TABLE meta (in_the_way TEXT)");
    assert.throws(() => openDatabase(directory), /data directory .*table meta already exists/);
    assert.equal(versionOf(file), 1);
    file.exec("DROP TABLE meta");
    file.close();
    const database = openDatabase(directory);
    assert.equal(versionOf(database), MIGRATIONS.length);
    database.close();
  });

  it("makes the directory and its parents for its owner alone", () => {
    const directory = join(tempPath("-deep"), "a", "b");
    openDatabase(directory).close();
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(statSync(join(directory, FILE_NAME)).mode & 0o777, 0o600);
  });
});
