import assert from "node:assert/strict";
import { chownSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, it } from "node:test";
import { readFolder, writeFolder } from "../../certs/folder.ts";
import { Command } from "../support/commands.ts";
import { eventually } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { tempPath } from "../support/temp.ts";

afterEach(() => assertNothingOpen());

const read = (folder: string, name: string) => readFileSync(path.join(folder, name), "utf8");

describe("a folder of certificates", () => {
  it("keeps keys from everybody but their owner", async () => {
    const folder = tempPath(".d");
    await writeFolder(folder, { "tls.crt": "c", "tls.key": "k" });
    const mode = (name: string) => lstatSync(path.join(folder, "..data", name)).mode & 0o777;
    assert.equal(mode("tls.key"), 0o600);
    assert.equal(mode("tls.crt") & 0o600, 0o600);
  });

  it("stays whose it is when root writes", { skip: process.getuid?.() !== 0 && "needs root" }, async () => {
    const folder = tempPath(".d");
    await writeFolder(folder, { "tls.crt": "1", "tls.key": "1" });
    chownSync(folder, 1000, 1001);
    await writeFolder(folder, { "tls.crt": "2", "tls.key": "2" });
    for (const name of ["..data/", "..data/tls.crt", "..data/tls.key"]) {
      const { uid, gid } = lstatSync(path.join(folder, name));
      assert.deepEqual({ name, uid, gid }, { name, uid: 1000, gid: 1001 });
    }
  });

  it("holds one generation after each change, and what was written last", async () => {
    const folder = tempPath(".d");
    for (const text of ["1", "2", "3"]) await writeFolder(folder, { "tls.crt": text, "tls.key": text });
    assert.deepEqual(await readFolder(folder), { "tls.crt": "3", "tls.key": "3" });
    assert.equal(read(folder, "tls.key"), "3");
    assert.equal(readdirSync(folder).filter((name) => name.startsWith("..gen-")).length, 1);
  });

  it("is none where nothing was written", async () => {
    assert.equal(await readFolder(tempPath(".d")), undefined);
  });

  it("has a whole pair wherever its writer was killed, and no rest of it after the next write", async () => {
    const folder = tempPath(".d");
    for (let round = 0; round < 12; round += 1) {
      await using writer = new Command(new URL("./rewrite.child.ts", import.meta.url), [folder]);
      await writer.output.find((line) => line === "first", "the first write");
      // Somewhere else in a write each time: as many turns of this loop later.
      const before = read(folder, "tls.crt");
      await eventually(() => tryRead(folder) !== before, "the next write");
      for (let turn = 0; turn < round * 40; turn += 1) await new Promise(setImmediate);
      await writer.end("SIGKILL");
      const cert = read(folder, "tls.crt");
      assert.ok(cert === read(folder, "tls.key"), "both of one generation");
      assert.equal(cert.split("\n").length, 2_001, "a whole file");
    }
    await writeFolder(folder, { "tls.crt": "c", "tls.key": "k" });
    assert.equal(readdirSync(folder).filter((name) => /^\.\.(gen|new)-/.test(name)).length, 1);
  });
});

function tryRead(folder: string): string {
  try {
    return read(folder, "tls.crt");
  } catch {
    return ""; // the generation that it led to has just been replaced
  }
}
