import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  closeSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { tempPath } from "../../../test/support/temp.ts";
import { walDamageOf } from "./wal-damage.ts";

const FRAME_BYTES = 24 + 4_096;

/** A database and its WAL as a killed process leaves them: `rows` changes, each a commit of its own. */
function killed(rows: number): { file: string; wal: string } {
  const directory = tempPath("-data");
  mkdirSync(directory);
  const source = join(directory, "source.db");
  const database = new DatabaseSync(source);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x TEXT)");
  for (let n = 0; n < rows; n += 1) database.exec(`INSERT INTO t VALUES ('row ${n}')`);
  const file = join(directory, "copy.db");
  copyFileSync(source, file);
  copyFileSync(`${source}-wal`, `${file}-wal`);
  database.close();
  return { file, wal: `${file}-wal` };
}

function overwrite(file: string, at: number): void {
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, Buffer.alloc(16, 0xaa), 0, 16, at);
  closeSync(descriptor);
}

function rowsOf(file: string): number {
  const database = new DatabaseSync(file);
  try {
    return Number(database.prepare("SELECT count(*) AS n FROM t").get()?.["n"]);
  } finally {
    database.close();
  }
}

describe("the WAL that a killed process has left", () => {
  it("is whole, absent or empty", () => {
    const { file, wal } = killed(20);
    assert.equal(walDamageOf(wal), undefined);
    assert.equal(rowsOf(file), 20);
    assert.equal(walDamageOf(wal), undefined, "closed: there is none");
    writeFileSync(wal, "");
    assert.equal(walDamageOf(wal), undefined);
  });

  it("has lost changes without an error of SQLite where bytes of it were overwritten", () => {
    const { file, wal } = killed(20);
    const frames = Math.floor((readFileSync(wal).length - 32) / FRAME_BYTES);
    const damaged = frames - 5;
    overwrite(wal, 32 + damaged * FRAME_BYTES + 100);
    assert.deepEqual(walDamageOf(wal), { atByte: 32 + damaged * FRAME_BYTES, ignoredFrames: 5 });
    assert.ok(rowsOf(file) < 20, "what SQLite does");
  });

  it("is damaged as a whole where its header is", () => {
    const { wal } = killed(20);
    overwrite(wal, 8);
    const damage = walDamageOf(wal);
    assert.equal(damage?.atByte, 0);
    assert.ok((damage?.ignoredFrames ?? 0) >= 20);
  });

  it("is whole where its last frame is incomplete, or frames of its former use follow", () => {
    const { wal } = killed(20);
    const bytes = readFileSync(wal);
    writeFileSync(wal, bytes.subarray(0, bytes.length - 1_000));
    assert.equal(walDamageOf(wal), undefined);
    const former = Buffer.from(bytes.subarray(bytes.length - FRAME_BYTES));
    former.writeUInt32BE(former.readUInt32BE(8) + 1, 8);
    writeFileSync(wal, Buffer.concat([bytes, former]));
    assert.equal(walDamageOf(wal), undefined);
  });
});
