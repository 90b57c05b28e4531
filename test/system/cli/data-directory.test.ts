import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { run, startServe } from "../../support/commands.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { ADMIN_TOKEN, startControlPlane } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const env = { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN };

/** Names, sizes and times of the files: what a second process might change. */
function filesOf(directory: string): unknown {
  return readdirSync(directory)
    .toSorted()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(directory, name));
      return { name, size, mtimeMs };
    });
}

function serveOn(directory: string, through: readonly string[] = []) {
  return run("turnabout", ["serve", "--port", "0", "--data-dir", directory], { env, through });
}

describe("a second control plane on a data directory", () => {
  it("is refused with the pid of the first, before it touches anything; a killed one is no obstacle", async () => {
    const directory = tempPath("-data");
    await using first = await startServe(["--data-dir", directory]);
    const before = filesOf(directory);
    const { code, stderr } = await serveOn(directory);
    assert.equal(code, 1);
    assert.match(
      stderr,
      new RegExp(
        `^error: data directory ${directory}: in use by process ${first.pid} on "${hostname()}" since `,
      ),
    );
    assert.deepEqual(filesOf(directory), before);
    const isRefused = (error: unknown): boolean =>
      error instanceof TurnaboutError &&
      error.code === "config_invalid" &&
      error.message.includes(`in use by process ${first.pid} `);
    await assert.rejects(startControlPlane({ dataDirectory: directory }), isRefused);

    await first.end("SIGKILL");
    await using second = await startControlPlane({ dataDirectory: directory });
    assert.ok(second.port > 0);
  });

  it(
    "is refused from another container, where process ids and host names are others",
    { skip: process.getuid?.() === 0 ? missing("unshare") : "namespaces need root" },
    async () => {
      const directory = tempPath("-data");
      await using first = await startControlPlane({ dataDirectory: directory });
      const { code, stderr } = await serveOn(directory, ["unshare", "--pid", "--fork", "--net", "--uts"]);
      assert.deepEqual([code, first.port > 0], [1, true]);
      assert.match(stderr, new RegExp(`in use by process ${process.pid} on `));
    },
  );
});
