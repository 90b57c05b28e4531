import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { FORMER_VERSIONS, formerDatabase } from "../../../test/support/former-database.ts";
import { tempPath } from "../../../test/support/temp.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { openDatabase, storeId } from "./database.ts";
import { FILE_NAME } from "./file-names.ts";
import { KnownRunnerStore } from "../store/known-runners.ts";
import { CONTROL_MIGRATIONS, migrate, versionOf } from "./migrations.ts";
import type { Migrations } from "./migrations.ts";
import { Store } from "../store/store.ts";
import { IssuedTokenStore } from "../store/tokens.ts";

/** A directory with a database in which only so many steps of the control plane's own have run. */
function older(steps: number): string {
  const directory = tempPath("-data");
  mkdirSync(directory);
  const database = new DatabaseSync(join(directory, FILE_NAME));
  migrate(database, [{ ...CONTROL_MIGRATIONS, steps: CONTROL_MIGRATIONS.steps.slice(0, steps) }]);
  database.close();
  return directory;
}

const CURRENT = CONTROL_MIGRATIONS.steps.length;

describe("openDatabase", () => {
  it("takes every older version to the present one, and keeps what is in it", () => {
    for (let steps = 1; steps <= CURRENT; steps += 1) {
      const directory = older(steps);
      const file = new DatabaseSync(join(directory, FILE_NAME));
      file.exec(
        `INSERT INTO tokens (id, kind, sha256, runners, created_at) VALUES ('t', 'user', 'hash', '[]', 1)`,
      );
      file.close();
      const database = openDatabase(directory);
      assert.equal(versionOf(database, "control"), CURRENT);
      database.close();
      const store = new Store({ directory });
      assert.deepEqual(
        new IssuedTokenStore(store).list().map(({ id }) => id),
        ["t"],
      );
      assert.match(store.id, /^[0-9a-f]{16}$/);
      store.close();
    }
  });

  it("takes over a database whose tables had one version together", () => {
    for (const version of FORMER_VERSIONS) {
      const store = new Store({ directory: formerDatabase(version) });
      const tokens = new IssuedTokenStore(store);
      assert.deepEqual(
        tokens.list().map(({ id, group, runners }) => ({ id, group, runners })),
        [{ id: "t", group: "ses_1", runners: ["sandbox-ses_1"] }],
      );
      assert.deepEqual(tokens.revoked(), version >= 3 ? ["revoked"] : []);
      assert.deepEqual(new KnownRunnerStore(store).recent(), [{ id: "r", credential: "t" }]);
      if (version >= 2) assert.equal(store.id, "former");
      store.close();
    }
  });

  it("gives each extension's tables a version of their own", () => {
    const directory = tempPath("-data");
    const first: Migrations = { name: "first", steps: ["CREATE TABLE a (x TEXT);"] };
    openDatabase(directory, [first]).close();
    const longer = { ...first, steps: [...first.steps, "ALTER TABLE a ADD COLUMN y TEXT;"] };
    const second = { name: "second", steps: ["CREATE TABLE b (x TEXT);"] };
    const database = openDatabase(directory, [longer, second]);
    assert.deepEqual(
      ["control", "first", "second", "third"].map((name) => versionOf(database, name)),
      [CURRENT, 2, 1, undefined],
    );
    database.exec("INSERT INTO a (x, y) VALUES ('', ''); INSERT INTO b (x) VALUES ('')");
    database.close();
    assert.throws(() => openDatabase(directory, [first]), /schema version 2 of first, this program knows 1/);
    openDatabase(directory).close(); // without the extension its tables stay
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
    const directory = older(CURRENT);
    const file = new DatabaseSync(join(directory, FILE_NAME));
    const refused = (pattern: RegExp): void =>
      assert.throws(
        () => openDatabase(directory),
        (error) => error instanceof TurnaboutError && pattern.test(error.message),
      );
    file.exec("UPDATE schema_versions SET version = 99 WHERE name = 'control'");
    refused(/schema version 99 of control, this program knows \d+/);
    assert.equal(versionOf(file, "control"), 99);
    file.exec("PRAGMA user_version = 98");
    refused(/schema version 98, this program knows \d+/);
    assert.equal(file.prepare("PRAGMA user_version").get()?.["user_version"], 98);
    file.close();
  });

  it("leaves a version whole where a migration fails", () => {
    const directory = older(1);
    const file = new DatabaseSync(join(directory, FILE_NAME));
    file.exec("CREATE TABLE meta (in_the_way TEXT)");
    assert.throws(() => openDatabase(directory), /data directory .*table meta already exists/);
    assert.equal(versionOf(file, "control"), 1);
    file.exec("DROP TABLE meta");
    file.close();
    const database = openDatabase(directory);
    assert.equal(versionOf(database, "control"), CURRENT);
    database.close();
  });

  it("makes the directory and its parents for its owner alone", () => {
    const directory = join(tempPath("-deep"), "a", "b");
    openDatabase(directory).close();
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(statSync(join(directory, FILE_NAME)).mode & 0o777, 0o600);
  });

  it("refuses a damaged database, and a row that is not valid, with what to do", () => {
    const directory = older(CURRENT);
    const file = new DatabaseSync(join(directory, FILE_NAME));
    file.exec(
      "INSERT INTO tokens (id, kind, sha256, runners, created_at) VALUES ('bad', 'king', 'h', '[]', 1)",
    );
    file.close();
    const store = new Store({ directory });
    assert.throws(() => new IssuedTokenStore(store), /table tokens, row "bad": /);
    store.close();
    const bytes = openSync(join(directory, FILE_NAME), "r+");
    writeSync(bytes, Buffer.alloc(8_192, 0xaa), 0, 8_192, 4_096);
    closeSync(bytes);
    assert.throws(
      () => openDatabase(directory),
      (error) =>
        error instanceof TurnaboutError &&
        /turnabout\.db is damaged or no database \(/.test(error.message) &&
        /restore a backup/.test(error.hint ?? ""),
    );
  });

  it("refuses numbers that could not be read again", () => {
    const store = new Store();
    const statement = store.prepare("INSERT INTO runners (id, credential, last_seen) VALUES (?, '', ?)");
    for (const number of [1.5, 2 ** 53, 1e300, Number.NaN, Infinity]) {
      assert.throws(() => statement.run("r", number), RangeError);
    }
    store.close();
  });
});
