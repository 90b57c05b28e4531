/** What a killed process has left is checked when the store is opened. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { keptLog } from "../../../test/support/agents.ts";
import { tempPath } from "../../../test/support/temp.ts";
import { hashToken } from "../auth/tokens.ts";
import { FILE_NAME } from "../sqlite/file-names.ts";
import { openStore } from "./open-store.ts";
import { IssuedTokenStore } from "./tokens.ts";

const TOKENS = 10;

/** By other programs: a descriptor of this process that is closed takes SQLite's locks along. */
function command(name: string, ...args: string[]): void {
  assert.equal(spawnSync(name, args, { stdio: "ignore" }).status, 0, `${name} ${args.join(" ")}`);
}

/** The files of a store that a killed process has left, with so many tokens. */
async function killed(): Promise<string> {
  const directory = tempPath("-data");
  const store = await openStore({ directory });
  const tokens = new IssuedTokenStore(store);
  for (let n = 0; n < TOKENS; n += 1) {
    const id = `token-${n}`;
    tokens.insert({ id, kind: "user", sha256: hashToken(id), runners: [], createdAtMs: n });
  }
  const left = tempPath("-left");
  mkdirSync(left);
  for (const suffix of ["", "-wal"]) command("cp", join(directory, FILE_NAME + suffix), left);
  store.close();
  return left;
}

it("opens a whole WAL without a word, and reports a damaged one, which it keeps", async () => {
  const whole = keptLog();
  const store = await openStore({ directory: await killed(), log: whole.log });
  assert.equal(new IssuedTokenStore(store).size, TOKENS);
  store.close();
  assert.deepEqual(whole.lines.all, []);

  const directory = await killed();
  const wal = join(directory, `${FILE_NAME}-wal`);
  command("dd", "if=/dev/urandom", `of=${wal}`, "bs=1", "count=100", "seek=130000", "conv=notrunc");
  const { log, lines } = keptLog();
  const damaged = await openStore({ directory, log });
  assert.ok(new IssuedTokenStore(damaged).size < TOKENS, "what SQLite does");
  damaged.close();
  const [line] = lines.all;
  assert.deepEqual(
    [line?.level, line?.message],
    ["error", "store: the WAL is damaged: its last changes are lost"],
  );
  assert.ok(Number(line?.fields["ignoredFrames"]) > 0);
  assert.ok(existsSync(String(line?.fields["copy"])));
});

it("refuses a WAL whose header is damaged: all that it has would be ignored", async () => {
  const directory = await killed();
  const wal = join(directory, `${FILE_NAME}-wal`);
  command("dd", "if=/dev/urandom", `of=${wal}`, "bs=1", "count=8", "seek=16", "conv=notrunc");
  await assert.rejects(openStore({ directory }), {
    message:
      /: the database cannot be opened: turnabout\.db-wal is damaged: all that it has would be ignored/,
    hint: /^restore a backup; or move turnabout\.db-wal away/,
  });
});
