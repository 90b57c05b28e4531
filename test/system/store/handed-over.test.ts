import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { assertEchoes } from "../../support/agents.ts";
import { api, issueToken } from "../../support/api.ts";
import { turn } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startControlPlane, startSystem } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

describe("a second control plane on a data directory", () => {
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

  it("is refused by a lock file of another kind, with what to do", async () => {
    const dataDirectory = tempPath("-data");
    await (await startControlPlane({ dataDirectory })).close();
    writeFileSync(join(dataDirectory, "lock"), "not a database ".repeat(100));
    await assert.rejects(startControlPlane({ dataDirectory }), /the file lock is not ours/);
    rmSync(join(dataDirectory, "lock"));
    await using again = await startControlPlane({ dataDirectory });
    assert.ok(again.port > 0);
  });

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
