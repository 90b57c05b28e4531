import assert from "node:assert/strict";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { assertEchoes, keptLog } from "../../support/agents.ts";
import { api, issueToken } from "../../support/api.ts";
import { eventually, pause } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";
import { DISK_FAULTS, LASTING_FAULT } from "./disk-faults.ts";

afterEach(() => assertNothingOpen());

const isProblem = ({ message }: { message: string }): boolean =>
  message.startsWith("store: changes cannot be saved");
const isEnd = ({ message }: { message: string }): boolean =>
  message.startsWith("store: changes are saved again");

const user = (id: string): object => ({ id, kind: "user" });

/** The target serves, an agent that comes back is in again, a further one registers, and one that leaves is not shown. */
async function assertTunnelsServe(system: System, further: string): Promise<void> {
  const { agent, controlPlane, target } = system;
  await assertEchoes(controlPlane.dial);
  await agent.close();
  await eventually(() => !isConnected(controlPlane), "the end of its connection");
  await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
  await assertEchoes(controlPlane.dial);
  const guest = await system.addAgent({ [further]: { [TARGET]: target.address } });
  await assertEchoes(controlPlane.dial, further);
  await guest.close();
  await eventually(() => !isConnected(controlPlane, further), "the end of the further agent");
}

async function assertRefused(url: string, problem: string): Promise<void> {
  const { status, code, headers, body } = await api(url, "POST", "/api/v1/tokens", { json: user("new") });
  assert.deepEqual([status, code], [503, "store_unavailable"]);
  assert.equal(headers["retry-after"], "5");
  assert.match(JSON.stringify(body), /not saved: /);
  assert.deepEqual((await api(url, "GET", "/readyz", { token: null })).body, { ready: true, store: problem });
  assert.match((await call(`${url}/metrics`)).body, /^turnabout_store_writable 0$/m);
}

/** What ends without an event of its own is looked for again and again. */
async function tokenIsIssued(url: string, id: string): Promise<string> {
  for (;;) {
    const { status, body } = await api(url, "POST", "/api/v1/tokens", { json: user(id) });
    if (status === 201) return (body as { token: string }).token;
    await pause();
  }
}

async function statusWith(url: string, token: string): Promise<number> {
  return (await api(url, "GET", "/api/v1/runners", { token })).status;
}

function restart(dataDirectory: string): Promise<ControlPlane> {
  return createControlPlane({ port: 0, host: "127.0.0.1", adminToken: ADMIN_TOKEN, dataDirectory });
}

describe("tunnels connect, come back and serve, and changes are refused with their reason, with", () => {
  for (const fault of DISK_FAULTS) {
    it(fault.name, { skip: fault.skip ?? false }, async () => {
      const dataDirectory = fault.place?.() ?? tempPath("-data");
      const { log, lines } = keptLog();
      await using system = await startSystem({ controlPlane: { dataDirectory, log } });
      const { url } = system;
      const kept = await issueToken(url, user("kept"));
      const leaked = await issueToken(url, user("leaked"));

      const end = fault.begin(dataDirectory);
      await assertRefused(url, fault.problem);
      await assertTunnelsServe(system, "further");
      // A revocation counts at once, and the response does not claim that it is saved: not the second one either.
      for (let n = 1; n <= 2; n += 1) {
        assert.equal((await api(url, "DELETE", "/api/v1/tokens/leaked")).code, "store_unavailable");
        assert.equal(await statusWith(url, leaked), 401);
      }
      assert.equal(await statusWith(url, kept), 200);
      const ids = ((await api(url, "GET", "/api/v1/tokens")).body as { tokens: { id: string }[] }).tokens;
      assert.deepEqual(
        ids.map(({ id }) => id),
        ["kept"],
      );
      assert.equal(lines.all.filter(isProblem).length, 1, "it is logged once");

      end?.();
      const fresh = await tokenIsIssued(url, "fresh");
      await lines.find(isEnd, "the log line about its end");
      const problems = lines.all.filter(isProblem).map(({ fields }) => fields["problem"]);
      assert.deepEqual(problems, [...new Set(problems)], "each problem is logged once");
      assert.equal(lines.all.filter(isEnd).length, 1);
      assert.deepEqual((await api(url, "GET", "/readyz")).body, { ready: true, store: "ok" });
      await system.close();

      await using after = await restart(dataDirectory);
      const again = `http://127.0.0.1:${after.port}`;
      assert.equal(await statusWith(again, kept), 200);
      assert.equal(await statusWith(again, fresh), 200);
      assert.equal(await statusWith(again, leaked), 401);
      const known = after.runners().map(({ id }) => id);
      assert.ok(known.includes("further"), "a runner that came meanwhile is known");
    });
  }

  it(LASTING_FAULT.name, { skip: LASTING_FAULT.skip ?? false }, async () => {
    const dataDirectory = LASTING_FAULT.place?.() ?? assert.fail("no place");
    await using system = await startSystem({ controlPlane: { dataDirectory } });
    LASTING_FAULT.begin(dataDirectory);
    await assertRefused(system.url, LASTING_FAULT.problem);
    await assertTunnelsServe(system, "further");
  });
});

it("a database file that was removed is written anew, with everything", async () => {
  const dataDirectory = tempPath("-data");
  await using system = await startSystem({ controlPlane: { dataDirectory } });
  const kept = await issueToken(system.url, user("kept"));
  for (const file of readdirSync(dataDirectory)) rmSync(join(dataDirectory, file));
  const fresh = await tokenIsIssued(system.url, "fresh");
  await assertEchoes(system.controlPlane.dial);
  await system.close();
  await using after = await restart(dataDirectory);
  const url = `http://127.0.0.1:${after.port}`;
  assert.equal(await statusWith(url, kept), 200);
  assert.equal(await statusWith(url, fresh), 200);
  assert.deepEqual(
    after.runners().map(({ id }) => id),
    [RUNNER],
  );
});

for (const suffix of ["-wal", "-shm"]) {
  it(`a removed turnabout.db${suffix} is made anew, and nothing is lost with it`, async () => {
    const dataDirectory = tempPath("-data");
    await using system = await startSystem({ controlPlane: { dataDirectory } });
    const kept = await issueToken(system.url, user("kept"));
    rmSync(join(dataDirectory, `turnabout.db${suffix}`));
    const fresh = await tokenIsIssued(system.url, "fresh");
    // What a process that is killed now would leave.
    const copy = `${dataDirectory}-copy`;
    cpSync(dataDirectory, copy, { recursive: true });
    await using after = await restart(copy);
    const url = `http://127.0.0.1:${after.port}`;
    assert.equal(await statusWith(url, kept), 200);
    assert.equal(await statusWith(url, fresh), 200);
  });
}

it(
  "a control plane starts on a full disk with what is on it",
  { skip: DISK_FAULTS[0]?.skip ?? false },
  async () => {
    const [full] = DISK_FAULTS;
    const dataDirectory = full?.place?.() ?? assert.fail("no place");
    const before = await restart(dataDirectory);
    const kept = await issueToken(`http://127.0.0.1:${before.port}`, user("kept"));
    await before.close();
    const end = full?.begin(dataDirectory);
    await using system = await startSystem({ controlPlane: { dataDirectory } });
    assert.equal(await statusWith(system.url, kept), 200);
    await assertRefused(system.url, "full");
    await assertTunnelsServe(system, "further");
    end?.();
    await tokenIsIssued(system.url, "fresh");
  },
);
