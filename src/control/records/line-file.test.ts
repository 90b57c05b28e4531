import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import { keptLog } from "../../../test/support/agents.ts";
import { tempPath } from "../../../test/support/temp.ts";
import { silentLogger } from "../../wire/log.ts";
import { ACCESS_LOG_BUFFER_BYTES, ACCESS_LOG_MAX_BUFFERS } from "./limits.ts";
import { LineFile } from "./line-file.ts";

const LINE = `${"x".repeat(999)}\n`;

function linesIn(path: string): string[] {
  return fs.readFileSync(path, "utf8").split("\n").slice(0, -1);
}

/** A pipe, and its reading end, which reads nothing by itself. */
function openPipe(): { path: string; reader: number } {
  const path = tempPath(".pipe");
  execFileSync("mkfifo", [path]);
  return { path, reader: fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK) };
}

describe("a file of lines", () => {
  it("has every line in its order, for its user only, and none of it is waited for", async () => {
    const path = tempPath(".log");
    const file = new LineFile(path, silentLogger);
    const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n} ü`);
    for (const line of lines.slice(0, 2_000)) file.write(`${line}\n`);
    assert.equal(fs.statSync(path).size, 0, "nothing is written in the caller's turn");
    for (const line of lines.slice(2_000)) file.write(`${line}\n`);
    await file.close();
    assert.deepEqual(linesIn(path), lines);
    assert.equal(fs.statSync(path).mode & 0o777, 0o600);
    assert.equal(file.droppedLines, 0);
  });

  it("follows a log rotation: lines before are in the old file, later ones in a new one", async () => {
    const path = tempPath(".log");
    const file = new LineFile(path, silentLogger);
    file.write("before\n");
    await file.flushed();
    fs.renameSync(path, `${path}.1`);
    file.reopen();
    file.write("behind\n");
    await file.close();
    assert.deepEqual([linesIn(`${path}.1`), linesIn(path)], [["before"], ["behind"]]);
  });

  it("stays with the file that it has where the path cannot be opened again", async () => {
    const path = tempPath(".log");
    const { log, lines } = keptLog();
    const file = new LineFile(path, log);
    fs.renameSync(path, `${path}.1`);
    fs.mkdirSync(path);
    file.reopen();
    file.write("kept\n");
    await file.close();
    assert.deepEqual(linesIn(`${path}.1`), ["kept"]);
    assert.equal(lines.all[0]?.level, "error");
  });

  it("is refused at the start with what is wrong", () => {
    const open = (): unknown => new LineFile("/no/such/folder/access.log", silentLogger);
    assert.throws(open, { code: "config_invalid", message: /access log .*no such file/ });
  });
});

describe("a pipe that nobody reads", () => {
  it("keeps a bounded number of lines, counts the rest, reports it once, and ends within its time", async () => {
    const { path, reader } = openPipe();
    const { log, lines } = keptLog();
    const file = new LineFile(path, log);
    const most = (ACCESS_LOG_MAX_BUFFERS + 3) * ACCESS_LOG_BUFFER_BYTES;
    const count = Math.ceil(most / LINE.length) + 1_000;
    for (let n = 0; n < count; n += 1) file.write(LINE);
    assert.ok(file.droppedLines >= 1_000 && file.droppedLines < 1_500, `${file.droppedLines} dropped`);
    assert.deepEqual(
      lines.all.map(({ level, message }) => [level, message]),
      [["warn", "access log: lines are dropped"]],
    );
    await file.close();
    fs.closeSync(reader);
  });

  it("goes on with whole lines when it is read again", async () => {
    const { path, reader } = openPipe();
    const { log, lines } = keptLog();
    const file = new LineFile(path, log);
    for (let n = 0; n < 6_000; n += 1) file.write(LINE);
    const read = readAll(reader);
    await lines.find(({ message }) => message === "access log: lines are written again", "the report");
    file.write("last\n");
    await file.close();
    const text = await read;
    const got = text.split("\n").slice(0, -1);
    assert.equal(got.pop(), "last");
    assert.ok(got.every((line) => `${line}\n` === LINE));
    assert.equal(got.length + file.droppedLines, 6_000);
  });
});

describe("a full disk", () => {
  it("drops and counts lines, and nothing else", async () => {
    const { log, lines } = keptLog();
    const file = new LineFile("/dev/full", log);
    for (let n = 0; n < 100; n += 1) file.write(LINE);
    await file.flushed();
    assert.equal(file.droppedLines, 100);
    file.write(LINE);
    await file.close();
    assert.equal(file.droppedLines, 101);
    assert.deepEqual(
      lines.all.map(({ fields }) => fields["reason"]),
      ["no space left"],
    );
  });
});

/** Until its other end has closed. */
async function readAll(fd: number): Promise<string> {
  const socket = new Socket({ fd, readable: true, writable: false });
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
