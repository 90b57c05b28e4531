import assert from "node:assert/strict";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { assertEchoes } from "../../support/agents.ts";
import { api, issueToken } from "../../support/api.ts";
import { run, startServe } from "../../support/commands.ts";
import { turn } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { ADMIN_TOKEN, startControlPlane, startSystem } from "../../support/system.ts";
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

  for (const [what, text] of [
    ["is damaged", "{ no JSON"],
    ["names a process that is gone", '{"pid":1,"host":"elsewhere","since":"1970"}'],
  ] as const) {
    it(`gets the directory when it is free, also if the file about its holder ${what}`, async () => {
      const directory = tempPath("-data");
      await (await startControlPlane({ dataDirectory: directory })).close();
      assert.ok(!readdirSync(directory).includes("lock-holder.json"), "left behind by none that has ended");
      writeFileSync(join(directory, "lock-holder.json"), text);
      await using first = await startControlPlane({ dataDirectory: directory });
      writeFileSync(join(directory, "lock-holder.json"), text);
      await assert.rejects(
        startControlPlane({ dataDirectory: directory }),
        /in use by (another process|process 1 )/,
      );
      assert.ok(first.port > 0);
    });
  }

  it("may wait for the first", async () => {
    const dataDirectory = tempPath("-data");
    const first = await startControlPlane({ dataDirectory });
    const waiting = startControlPlane({ dataDirectory, dataDirectoryWaitMs: 20_000 });
    await turn(5);
    await first.close();
    await using second = await waiting;
    assert.ok(second.port > 0);
  });

  it("is none where the state is in memory", async () => {
    await using first = await startControlPlane();
    await using second = await startControlPlane();
    assert.notEqual(first.port, second.port);
  });
});

describe("a data directory that is handed over", () => {
  it("is another process' until it is reopened; the tunnels of both serve, and changes go to the one that has it", async () => {
    const dataDirectory = tempPath("-data");
    await using old = await startSystem({ controlPlane: { dataDirectory } });
    const kept = await issueToken(old.url, { id: "kept", kind: "user" });
    old.controlPlane.releaseStore();
    await assertEchoes(old.controlPlane.dial);
    const refused = await api(old.url, "POST", "/api/v1/tokens", { json: { id: "x", kind: "user" } });
    assert.deepEqual([refused.status, refused.code], [503, "store_unavailable"]);
    assert.match(JSON.stringify(refused.body), /handed over to another process/);
    assert.equal((await api(old.url, "GET", "/api/v1/runners", { token: kept })).status, 200);

    const next = await startControlPlane({ dataDirectory });
    const url = `http://127.0.0.1:${next.port}`;
    assert.equal((await api(url, "GET", "/api/v1/runners", { token: kept })).status, 200);
    const elsewhere = await issueToken(url, { id: "elsewhere", kind: "user" });
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/kept")).status, 204);
    // It is waited for without blocking: the other, in this process, has to close meanwhile.
    const reopened = old.controlPlane.reopenStore();
    await turn(5);
    await next.close();
    await reopened;
    await old.controlPlane.reopenStore(); // it has it
    assert.equal((await api(old.url, "GET", "/api/v1/runners", { token: kept })).status, 401);
    assert.equal((await api(old.url, "GET", "/api/v1/runners", { token: elsewhere })).status, 200);
    const issued = await issueToken(old.url, { id: "later", kind: "user" });
    await old.close();
    await using after = await startControlPlane({ dataDirectory });
    const last = `http://127.0.0.1:${after.port}`;
    assert.equal((await api(last, "GET", "/api/v1/runners", { token: issued })).status, 200);
  });
});
