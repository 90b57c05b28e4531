import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import type { WolfDouble } from "../../../src/demo/wolf/double.ts";
import { startServe } from "../../support/commands.ts";
import type { Command } from "../../support/commands.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { tempPath } from "../../support/temp.ts";
import { api } from "../../support/api.ts";
import {
  assertNoOrphans,
  createSession,
  instancesUntil,
  listInstances,
  sessionsUntil,
  startSessions,
  startWolfAgent,
} from "./sessions-stand.ts";
import type { ApiResponse } from "../../support/api.ts";
import type { SessionView } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const INSTANCES = ["a", "b", "c"];
const PLACES = 20;
const CREATIONS = 150;
/** In the tests that kill a process: still more than there are places. */
const CREATIONS_AT_A_KILL = 70;

function countOf(responses: readonly ApiResponse[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, code } of responses) {
    const key = code === undefined ? String(status) : `${status} ${code}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

async function placesOf(url: string): Promise<Record<string, number>> {
  return Object.fromEntries(
    (await listInstances(url)).map(({ id, connected_sandboxes }) => [id, connected_sandboxes]),
  );
}

async function removeAll(url: string, sessions: readonly SessionView[]): Promise<number[]> {
  const responses = await Promise.all(sessions.map(({ id }) => api(url, "DELETE", `/api/v1/sessions/${id}`)));
  return responses.map(({ status }) => status);
}

describe(`${CREATIONS} parallel creations on ${INSTANCES.length} instances of ${PLACES} places`, () => {
  it("fill every place exactly once, and deletions empty them again", async () => {
    await using stand = await startSessions({ instances: INSTANCES });
    const { url, wolves } = stand;
    const responses = await Promise.all(Array.from({ length: CREATIONS }, () => createSession(url)));
    const full = INSTANCES.length * PLACES;
    assert.deepEqual(countOf(responses), { "201": full, "503 instances_full": CREATIONS - full });
    assert.deepEqual(await placesOf(url), { a: PLACES, b: PLACES, c: PLACES });
    const refused = responses.find(({ status }) => status === 503);
    assert.equal(refused?.headers["retry-after"], "10");
    const sessions = await assertNoOrphans(url, wolves);
    assert.equal(sessions.length, full);

    assert.deepEqual(new Set(await removeAll(url, sessions)), new Set([204]));
    assert.deepEqual(await placesOf(url), { a: 0, b: 0, c: 0 });
    assert.deepEqual(await assertNoOrphans(url, wolves), []);
    assert.deepEqual((await api(url, "GET", "/api/v1/tokens")).body, { tokens: [] });
  });
});

interface Processes extends AsyncDisposable {
  readonly stack: AsyncDisposableStack;
  readonly wolves: Map<string, WolfDouble>;
  readonly directory: string;
  serve(port?: number): Promise<Command & { url: string; port: number }>;
  agent(url: string, id: string): Command;
}

async function startProcesses(): Promise<Processes> {
  const stack = new AsyncDisposableStack();
  const wolves = new Map<string, WolfDouble>();
  for (const id of INSTANCES) {
    wolves.set(id, stack.use(await createWolfDouble({ socketPath: tempPath(), blockLobbyCreateMs: 20 })));
  }
  const directory = mkdtempSync(tempPath("-data-"));
  return {
    stack,
    wolves,
    directory,
    serve: async (port = 0) => stack.use(await startServe(["--data-dir", directory], { port })),
    agent: (url, id) => {
      const wolf = wolves.get(id) ?? assert.fail(`no Wolf ${id}`);
      return stack.use(startWolfAgent(url, id, wolf));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const allOnline = (instances: { status: string }[]): boolean =>
  instances.length === INSTANCES.length && instances.every(({ status }) => status === "online");
const allSettled = (sessions: SessionView[]): boolean => sessions.every(({ state }) => state === "running");

function lobbiesOf(wolves: ReadonlyMap<string, WolfDouble>): number {
  return [...wolves.values()].reduce((sum, { state }) => sum + state.lobbies.length, 0);
}

describe("kill -9 in the middle of parallel creations", () => {
  it("of an instance's agent: its creations without a response are settled, and no place is lost", async () => {
    await using stand = await startProcesses();
    const { wolves } = stand;
    const { url } = await stand.serve();
    const victim = stand.agent(url, "a");
    stand.agent(url, "b");
    stand.agent(url, "c");
    await instancesUntil(url, allOnline, "the instances");

    const creations = Array.from({ length: CREATIONS_AT_A_KILL }, () => createSession(url));
    const wolfA = wolves.get("a") ?? assert.fail("no Wolf a");
    await eventually(() => wolfA.state.lobbies.length >= 3, "some lobbies on the victim's Wolf");
    await victim.end("SIGKILL");
    const back = stand.agent(url, "a");
    const counts = countOf(await Promise.all(creations));
    await instancesUntil(url, allOnline, "the victim's return");
    await sessionsUntil(url, allSettled, "every session settled");
    const sessions = await assertNoOrphans(url, wolves);
    const kept = sessions.filter(({ wolf_instance_id }) => wolf_instance_id === "a").length;
    assert.equal(counts["201"], sessions.length, "what was promised is there, and nothing else");
    assert.ok(kept >= 3, `${kept} of the victim's got a response before, or have waited for it`);

    // Places that the kill has freed are places again.
    const more = countOf(await Promise.all(Array.from({ length: 40 }, () => createSession(url))));
    assert.equal(more["201"] ?? 0, INSTANCES.length * PLACES - sessions.length);
    const all = await assertNoOrphans(url, wolves);
    assert.equal(all.length, INSTANCES.length * PLACES);
    assert.deepEqual(new Set(await removeAll(url, all)), new Set([204]));
    assert.deepEqual(await placesOf(url), { a: 0, b: 0, c: 0 });
    assert.ok(back.running);
  });

  it("of the control plane: what it had begun is found again on its port, from its directory", async () => {
    await using stand = await startProcesses();
    const { wolves } = stand;
    const before = await stand.serve();
    for (const id of INSTANCES) stand.agent(before.url, id);
    await instancesUntil(before.url, allOnline, "the instances");

    const creations = Array.from({ length: CREATIONS_AT_A_KILL }, () =>
      createSession(before.url).catch(() => undefined),
    );
    await eventually(() => lobbiesOf(wolves) >= 10, "some lobbies");
    await before.end("SIGKILL");
    const promised = (await Promise.all(creations)).flatMap((response) =>
      response?.status === 201 ? [(response.body as SessionView).id] : [],
    );
    const { url } = await stand.serve(before.port);
    await instancesUntil(url, allOnline, "the instances' return");
    await sessionsUntil(url, allSettled, "every session settled");
    const sessions = await assertNoOrphans(url, wolves);
    const ids = new Set(sessions.map(({ id }) => id));
    assert.deepEqual(
      promised.filter((id) => !ids.has(id)),
      [],
      "what was promised is there",
    );
    assert.ok(sessions.length < INSTANCES.length * PLACES, "it was killed in the middle");

    const more = countOf(
      await Promise.all(Array.from({ length: CREATIONS_AT_A_KILL }, () => createSession(url))),
    );
    assert.equal(more["201"] ?? 0, INSTANCES.length * PLACES - sessions.length);
    const all = await assertNoOrphans(url, wolves);
    assert.deepEqual(new Set(await removeAll(url, all)), new Set([204]));
    assert.deepEqual(await placesOf(url), { a: 0, b: 0, c: 0 });
    assert.equal(lobbiesOf(wolves), 0);
  });
});
