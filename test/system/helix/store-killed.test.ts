import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, it } from "node:test";
import type { TestContext } from "node:test";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import { Command } from "../../support/commands.ts";
import { eventually } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { tempPath } from "../../support/temp.ts";
import { connectAgent, heartbeat, instancesUntil, listSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const ROUNDS = 3;
const WORKERS = 4;
/** A process is killed after so many acknowledged changes at most; others are under way at that moment. */
const MAX_CHANGES_OF_A_ROUND = 40;

/** What the control plane has acknowledged. */
class Acknowledged {
  changes = 0;
  /** Secrets by id. */
  readonly issued = new Map<string, string>();
  readonly revoked = new Map<string, string>();
  readonly sessions = new Set<string>();
  readonly deletedSessions = new Set<string>();
}

/** Changes one after the other until the connection is lost: each that gets its response is noted. */
async function change(url: string, known: Acknowledged, random: () => number, name: string): Promise<void> {
  for (let n = 0; ; n += 1) {
    const id = `${name}-${n}`;
    const body = JSON.stringify({ id, kind: "user" });
    const headers = { "content-type": "application/json" };
    const issued = await call(`${url}/api/v1/tokens`, { method: "POST", body, headers });
    assert.equal(issued.status, 201, issued.body);
    known.changes += 1;
    const { token } = JSON.parse(issued.body) as { token: string };
    if (random() < 0.5) {
      const revoked = await call(`${url}/api/v1/tokens/${id}`, { method: "DELETE" });
      assert.equal(revoked.status, 204, revoked.body);
      known.revoked.set(id, token);
    } else known.issued.set(id, token);
    if (random() < 0.3) await changeSessions(url, known, random);
  }
}

async function changeSessions(url: string, known: Acknowledged, random: () => number): Promise<void> {
  const [oldest] = known.sessions;
  if (oldest !== undefined && random() < 0.5) {
    known.sessions.delete(oldest); // until the response it may be there or not
    const { status } = await call(`${url}/api/v1/sessions/${oldest}`, { method: "DELETE" });
    if (status === 204) known.deletedSessions.add(oldest);
    return;
  }
  const headers = { "content-type": "application/json" };
  const created = await call(`${url}/api/v1/sessions`, { method: "POST", body: "{}", headers });
  if (created.status === 201) known.sessions.add((JSON.parse(created.body) as { id: string }).id);
}

async function assertKept(url: string, known: Acknowledged): Promise<void> {
  const { body } = await call(`${url}/api/v1/tokens`);
  const ids = new Set((JSON.parse(body) as { tokens: { id: string }[] }).tokens.map(({ id }) => id));
  assert.deepEqual(
    [...known.issued.keys()].filter((id) => !ids.has(id)),
    [],
    "issued tokens that are lost",
  );
  assert.deepEqual(
    [...known.revoked.keys()].filter((id) => ids.has(id)),
    [],
    "revoked tokens that are back",
  );
  const [revoked] = [...known.revoked.values()].slice(-1);
  if (revoked !== undefined)
    assert.equal((await call(`${url}/api/v1/runners`, { token: revoked })).status, 401);
  const sessions = new Set((await listSessions(url)).map(({ id }) => id));
  assert.deepEqual(
    [...known.sessions].filter((id) => !sessions.has(id)),
    [],
    "sessions that are lost",
  );
  assert.deepEqual(
    [...known.deletedSessions].filter((id) => sessions.has(id)),
    [],
    "deleted sessions that are back",
  );
}

/** A small generator, so that a failing run can be repeated with its seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it("nothing that was acknowledged is lost when the process is killed at any moment", async (t: TestContext) => {
  const seed = Number(process.env["TURNABOUT_TEST_SEED"] ?? Math.floor(Math.random() * 1_000_000));
  t.diagnostic(`seed ${seed} (TURNABOUT_TEST_SEED)`);
  const random = randomFrom(seed);
  const dataDirectory = tempPath("-data");
  const known = new Acknowledged();
  await using wolf = await createWolfDouble({ socketPath: tempPath() });
  const script = new URL("./store-killed.child.ts", import.meta.url);
  let port = 0;
  await using stack = new AsyncDisposableStack();
  for (let round = 0; round <= ROUNDS; round += 1) {
    await using child = new Command(script, [String(port), dataDirectory]);
    port = Number(await child.output.find(() => true, "its port"));
    const url = `http://127.0.0.1:${port}`;
    if (round === 0) {
      const agent = await connectAgent(url, { runners: { "wolf-a": { wolf: `unix:${wolf.socketPath}` } } });
      stack.defer(() => agent.close());
      await instancesUntil(url, ([one]) => one?.status === "online", "the instance");
      assert.equal((await heartbeat(url, "a", { max_sandboxes: 1_000 })).status, 200);
    }
    await instancesUntil(url, ([one]) => one?.status === "online", "the instance");
    await assertKept(url, known);
    if (round === ROUNDS) break;
    const workers = Array.from({ length: WORKERS }, (_, n) => change(url, known, random, `${round}-${n}`));
    const ends = Promise.allSettled(workers);
    const enough = known.changes + 1 + Math.floor(random() * MAX_CHANGES_OF_A_ROUND);
    await eventually(() => known.changes >= enough, `${enough} changes`);
    await child.end("SIGKILL");
    for (const end of await ends) {
      if (end.status === "rejected") assert.ok(!(end.reason instanceof assert.AssertionError), end.reason);
    }
  }
  assert.ok(known.issued.size + known.revoked.size > 0, "some changes were acknowledged");
  const database = new DatabaseSync(join(dataDirectory, "turnabout.db"));
  assert.equal(database.prepare("PRAGMA quick_check").get()?.["quick_check"], "ok");
  database.close();
});
