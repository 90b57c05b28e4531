/** What an operator reads of a data directory that cannot be used: phase, path, cause and what to do. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { tempPath } from "../../../test/support/temp.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { openStore } from "../store/open-store.ts";
import { FILE_NAME } from "./file-names.ts";
import { unusable } from "./start-failure.ts";

function made(): string {
  const directory = tempPath("-data");
  mkdirSync(directory);
  return directory;
}

async function refused(directory: string, message: RegExp, hint: RegExp): Promise<void> {
  await assert.rejects(openStore({ directory }), (error) => {
    assert.ok(error instanceof TurnaboutError && error.code === "config_invalid");
    assert.ok(error.message.startsWith(`data directory ${directory}: `), error.message);
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
    return true;
  });
}

/** SQLite's own error for a statement on a database that another connection keeps. */
function busyError(file: string): unknown {
  const other = new DatabaseSync(file);
  const own = new DatabaseSync(file, { timeout: 0 });
  try {
    other.exec("BEGIN IMMEDIATE");
    own.exec("BEGIN IMMEDIATE");
    return undefined;
  } catch (error) {
    return error;
  } finally {
    own.close();
    other.close();
  }
}

describe("a data directory that cannot be used at the start", () => {
  it("because a file is at its path", async () => {
    const file = tempPath(".txt");
    writeFileSync(file, "");
    await refused(file, /: cannot be created: .*EEXIST/, /^a file is at this path: give a directory/);
    await refused(join(file, "below"), /: cannot be created: .*ENOTDIR/, /^check the path/);
  });

  it("because something else has the name of one of its files", async () => {
    const directory = made();
    mkdirSync(join(directory, FILE_NAME));
    const message = new RegExp(`: the database cannot be opened: .*/${FILE_NAME} is not a file`);
    await refused(directory, message, /^move it away/);
    const other = made();
    mkdirSync(join(other, "lock"));
    await refused(other, /: cannot be locked: .*\/lock is not a file/, /^move it away/);
  });

  it("because another program has locked the database", () => {
    const directory = made();
    const error = unusable(directory, "open", busyError(join(directory, FILE_NAME)));
    assert.match(
      error.message,
      /: the database cannot be opened: another program has locked it \(database is locked\)$/,
    );
    assert.match(error.hint ?? "", /^close the program that uses turnabout\.db/);
  });

  it("because the disk is full", () => {
    const directory = made();
    const full = Object.assign(new Error("database or disk is full"), {
      code: "ERR_SQLITE_ERROR",
      errcode: 13,
    });
    const error = unusable(directory, "open", full);
    assert.match(error.message, /: the disk is full \(database or disk is full\)$/);
    assert.match(error.hint ?? "", /^free some space/);
  });

  // Root may do everything, so the error is given here; the directory and its owner are real.
  it("because it belongs to another user, who is named", () => {
    const directory = made();
    chmodSync(directory, 0o500);
    const denied = Object.assign(new Error(`EACCES: permission denied, mkdir '${directory}/below'`), {
      code: "EACCES",
    });
    const error = unusable(join(directory, "below"), "create", denied);
    assert.match(error.message, /: cannot be created: no permission \(EACCES: permission denied/);
    const hint = `\\(${directory} belongs to user ${process.getuid?.()}, mode 500; this is user \\d+\\)$`;
    assert.match(error.hint ?? "", new RegExp(`^give the directory to the user of this process.*${hint}`));
  });
});
