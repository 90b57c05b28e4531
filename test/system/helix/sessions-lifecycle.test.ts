import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import { eventually } from "../../support/events.ts";
import { runnersUntil } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startStopwatch } from "../../support/stopwatch.ts";
import { api, issueToken } from "../../support/api.ts";
import {
  assertNoOrphans,
  createSession,
  instancesUntil,
  listInstances,
  listSessions,
  newSession,
  sessionsUntil,
  startSessions,
  startWolfAgent,
} from "./sessions-stand.ts";
import type { SessionStand, SessionView } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const SHORT_GRACE = { graceMs: 100 };

async function show(stand: SessionStand, { id }: SessionView): Promise<SessionView> {
  const response = await api(stand.url, "GET", `/api/v1/sessions/${id}`);
  assert.equal(response.status, 200, JSON.stringify(response.body));
  return response.body as SessionView;
}

async function remove(stand: SessionStand, { id }: SessionView, token?: string): Promise<number> {
  const options = token === undefined ? {} : { token };
  return (await api(stand.url, "DELETE", `/api/v1/sessions/${id}`, options)).status;
}

/** The instance's agent ends, and nobody takes its place within the grace. */
async function vanish(stand: SessionStand, id = "a"): Promise<void> {
  const from = stand.events.length;
  const agent = stand.system.agents.at(-1) ?? assert.fail("no agent");
  await agent.close();
  await stand.event("grace-expired", `wolf-${id}`, from);
}

describe("a session whose instance reconnects", () => {
  it("stays as it is, by the same agent process or by a new one, within the grace", async () => {
    await using stand = await startSessions({ agents: false });
    let from = stand.events.length;
    await using first = startWolfAgent(stand.url, "a", stand.wolf("a"));
    await stand.event("connected", "wolf-a", from);
    const session = await newSession(stand.url);
    const [before] = await runnersUntil(stand.url, ([runner]) => runner?.state === "connected", "the runner");
    from = stand.events.length;
    stand.system.controlPlane.kick("wolf-a");
    assert.equal((await stand.event("connected", "wolf-a", from)).restarted, false);
    const [after] = await runnersUntil(stand.url, ([runner]) => runner?.state === "connected", "its return");
    assert.equal(after?.bootEpoch, before?.bootEpoch, "the same process");
    assert.deepEqual(await show(stand, session), session);

    await first.end("SIGKILL");
    from = stand.events.length;
    await using second = startWolfAgent(stand.url, "a", stand.wolf("a"));
    assert.equal((await stand.event("connected", "wolf-a", from)).restarted, true);
    assert.deepEqual(await show(stand, session), session);
    const kinds = stand.events.all.map(({ type }) => type).filter((type) => type.startsWith("session-"));
    assert.deepEqual(kinds, ["session-created"]);
    assert.ok(second.running);
    assert.equal((await assertNoOrphans(stand.url, stand.wolves)).length, 1);
  });
});

describe("an instance that vanishes past its grace", () => {
  it("marks its sessions lost, and takes them back with its lobbies", async () => {
    await using stand = await startSessions({ controlPlane: SHORT_GRACE });
    const session = await newSession(stand.url);
    await vanish(stand);
    const lost = await show(stand, session);
    assert.deepEqual([lost.state, lost.reason], ["lost", "its instance is not connected"]);
    const [instance] = await listInstances(stand.url);
    assert.deepEqual([instance?.status, instance?.connected_sandboxes], ["offline", 1], "its place is kept");
    assert.equal((await createSession(stand.url)).code, "no_instance_online");
    await stand.agent("a");
    await stand.event("session-back", session.id);
    const back = await show(stand, session);
    assert.deepEqual([back.state, back.reason, back.wolf_lobby_id], ["running", null, session.wolf_lobby_id]);
  });

  it("ends those whose lobby is gone when it returns", async () => {
    await using stand = await startSessions({ controlPlane: SHORT_GRACE });
    const [kept, gone] = [await newSession(stand.url), await newSession(stand.url)];
    await vanish(stand);
    const { lobbies } = stand.wolf("a").state;
    lobbies.splice(
      lobbies.findIndex(({ name }) => name === gone.id),
      1,
    );
    await stand.agent("a");
    const { reason } = await stand.event("session-ended", gone.id);
    assert.equal(reason, "its lobby is gone");
    await stand.event("session-back", kept.id);
    assert.deepEqual(
      (await assertNoOrphans(stand.url, stand.wolves)).map(({ id }) => id),
      [kept.id],
    );
    assert.equal((await api(stand.url, "GET", `/api/v1/sessions/${gone.id}`)).status, 404);
  });

  it("can be removed permanently, with its sessions; one that is online cannot", async () => {
    await using stand = await startSessions({ controlPlane: SHORT_GRACE });
    const session = await newSession(stand.url);
    const path = "/api/v1/wolf-instances/a";
    const refused = await api(stand.url, "DELETE", path);
    assert.deepEqual([refused.status, refused.code], [409, "already_exists"]);
    await vanish(stand);
    assert.equal(await remove(stand, session), 202, "alone it waits for an instance that never comes");
    assert.equal((await api(stand.url, "DELETE", path)).status, 204);
    const { reason } = await stand.event("session-ended", session.id);
    assert.equal(reason, "its instance was removed");
    assert.deepEqual(await listSessions(stand.url), []);
    assert.equal((await api(stand.url, "DELETE", path)).code, "instance_unknown");
    assert.equal((await api(stand.url, "GET", path)).code, "instance_unknown");
  });
});

describe("a Wolf that starts anew behind an agent that stays", () => {
  it("has lost its lobbies: their sessions can be deleted, and new ones made", async () => {
    await using stand = await startSessions();
    const old = await newSession(stand.url);
    const { socketPath } = stand.wolf("a");
    await stand.wolf("a").close();
    await using fresh = await createWolfDouble({ socketPath });
    // Stopping a lobby that Wolf does not know of: it is gone, and that is what was requested.
    assert.equal(await remove(stand, old), 204);
    const young = await newSession(stand.url);
    assert.deepEqual(
      fresh.state.lobbies.map(({ name }) => name),
      [young.id],
    );
  });
});

describe("deleting a session", () => {
  it("while Wolf is away is accepted, ends all access to it at once, and is done at the return", async () => {
    await using stand = await startSessions();
    const alice = await issueToken(stand.url, { id: "alice", kind: "user" });
    const session = await newSession(stand.url, {}, alice);
    await stand.system.agent.close();
    const stopwatch = startStopwatch();
    assert.equal(await remove(stand, session, alice), 202);
    assert.ok(stopwatch.elapsedMs() < 5_000, "not the whole grace");
    assert.equal((await show(stand, session)).state, "stopping");
    const screenshot = await api(stand.url, "GET", session.links["screenshot"] ?? "", { token: alice });
    assert.deepEqual([screenshot.status, screenshot.code], [404, "session_unknown"]);
    const target = `/api/v1/runners/${session.runner}/targets/screenshot/`;
    assert.equal((await api(stand.url, "GET", target, { token: alice })).code, "not_allowed");
    const tokens = (await api(stand.url, "GET", "/api/v1/tokens")).body as { tokens: { id: string }[] };
    assert.deepEqual(
      tokens.tokens.map(({ id }) => id),
      ["alice"],
      "its sandbox cannot come back",
    );
    assert.equal(await remove(stand, session, alice), 202, "again: still on its way");
    assert.equal(stand.wolf("a").state.lobbies.length, 1);
    await stand.agent("a");
    await stand.event("session-ended", session.id);
    assert.deepEqual(await assertNoOrphans(stand.url, stand.wolves), []);
    assert.equal(await remove(stand, session, alice), 404);
  });

  it("twice at once ends it once", async () => {
    await using stand = await startSessions();
    const session = await newSession(stand.url);
    const statuses = await Promise.all(Array.from({ length: 5 }, () => remove(stand, session)));
    assert.deepEqual(new Set(statuses), new Set([204]));
    const ends = stand.events.all.filter(({ type }) => type === "session-ended");
    assert.equal(ends.length, 1);
    assert.equal(await remove(stand, session), 404);
  });

  it("while Wolf is busy waits for it; what Wolf does not do in time is done later", async () => {
    await using stand = await startSessions();
    const session = await newSession(stand.url);
    const release = stand.wolf("a").hold();
    const removal = remove(stand, session);
    await sessionsUntil(stand.url, ([one]) => one?.state === "stopping", "the deletion under way");
    release();
    assert.equal(await removal, 204);
    assert.deepEqual(await assertNoOrphans(stand.url, stand.wolves), []);
  });

  it("ends its sandbox's tunnel, but not that of an agent that serves others too", async () => {
    await using stand = await startSessions();
    const [own, shared] = [await newSession(stand.url), await newSession(stand.url)];
    const token = environmentOf(stand, own)["USER_API_TOKEN"] ?? assert.fail("no token");
    const target = { screenshot: "127.0.0.1:1" };
    const sandbox = await stand.system.addAgent({ [own.runner]: target }, { token: { value: token } });
    const beside = await stand.system.addAgent({ [shared.runner]: target, other: target });
    let from = stand.events.length;
    assert.equal(await remove(stand, own), 204);
    await stand.event("lost", own.runner, from);
    await sandbox.close();

    from = stand.events.length;
    assert.equal(await remove(stand, shared), 204);
    await newSession(stand.url); // a whole round behind it
    assert.deepEqual(
      stand.events.all.slice(from).filter(({ type }) => type === "lost"),
      [],
    );
    await beside.close();
  });
});

/** With what Wolf has to start the sandbox. */
function environmentOf(stand: SessionStand, { id }: SessionView): Record<string, string> {
  for (const { state } of stand.wolves.values()) {
    const lobby = state.lobbies.find(({ name }) => name === id);
    if (lobby === undefined) continue;
    const entries = (lobby.runner["env"] as string[]).map((entry): [string, string] => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    });
    return Object.fromEntries(entries);
  }
  return assert.fail(`no lobby of ${id}`);
}

describe("a new session", () => {
  it("starts its lobby as requested, with an environment that its sandbox's agent can use", async () => {
    await using stand = await startSessions({ controlPlane: { agentUrl: "http://cp.test:8080/base" } });
    const session = await newSession(stand.url, {
      width: 1280,
      height: 720,
      refresh_rate: 30,
      image: "mine:1",
    });
    const request = stand.wolf("a").requests.find(({ path }) => path === "/api/v1/lobbies/create");
    const lobby = JSON.parse(request?.body ?? "{}") as Record<string, unknown>;
    assert.deepEqual(
      {
        ...lobby,
        runner: undefined,
      },
      {
        profile_id: "helix-sessions",
        name: session.id,
        multi_user: true,
        stop_when_everyone_leaves: false,
        video_settings: {
          width: 1280,
          height: 720,
          refresh_rate: 30,
          wayland_render_node: "SOFTWARE",
          runner_render_node: "SOFTWARE",
          video_producer_buffer_caps: "video/x-raw",
        },
        audio_settings: { channel_count: 2 },
        runner_state_folder: session.id,
        runner: undefined,
      },
    );
    const { image, name } = lobby["runner"] as Record<string, unknown>;
    assert.deepEqual([image, name], ["mine:1", session.runner]);
    const { USER_API_TOKEN: secret, TURNABOUT_STORE: store, ...rest } = environmentOf(stand, session);
    assert.deepEqual(rest, { HELIX_SESSION_ID: session.id, HELIX_API_URL: "http://cp.test:8080/base" });
    assert.match(secret ?? "", /^ta_\S{32}$/);
    assert.match(store ?? "", /^[0-9a-f]{16}$/);
  });

  it("refuses what its schema does not know, and reports what is wrong", async () => {
    await using stand = await startSessions();
    for (const [json, detail] of [
      [{ widht: 100 }, /Unrecognized key.*widht/],
      [{ width: "100" }, /^width: /],
      [{ refresh_rate: 0 }, /^refresh_rate: /],
      [{ name: "" }, /^name: /],
    ] as const) {
      const response = await createSession(stand.url, json);
      assert.equal(response.code, "bad_request");
      const { details } = (response.body as { error: { details: string[] } }).error;
      assert.match(details[0] ?? "", detail);
    }
    const broken = await api(stand.url, "POST", "/api/v1/sessions", {
      body: "{",
      headers: { "content-type": "application/json" },
    });
    assert.deepEqual([broken.status, broken.code], [400, "bad_request"]);
    const untyped = await api(stand.url, "POST", "/api/v1/sessions", { body: "hello" });
    assert.deepEqual([untyped.status, untyped.code], [400, "bad_request"]);
    assert.deepEqual(await listSessions(stand.url), []);
  });

  it("is refused by its Wolf: nothing is left, and the reason is Wolf's", async () => {
    await using stand = await startSessions();
    await stand.wolf("a").close();
    const refused = await createSession(stand.url);
    assert.deepEqual([refused.status, refused.code], [502, "target_refused"]);
    assert.deepEqual(await listSessions(stand.url), []);
  });
});

describe("placement", () => {
  it("takes the least loaded instance that fits, and reports why there is none", async () => {
    await using stand = await startSessions({ instances: ["a", "b", "c"], controlPlane: SHORT_GRACE });
    const { url } = stand;
    await instancesUntil(url, (all) => all.length === 3, "the instances");
    const beat = (id: string, json: object) =>
      api(url, "POST", `/api/v1/wolf-instances/${id}/heartbeat`, { json });
    await beat("a", { max_sandboxes: 4, gpu_vendor: "nvidia" });
    await beat("b", { max_sandboxes: 2, gpu_vendor: "amd", privileged_mode_enabled: true });
    await beat("c", { max_sandboxes: 1 });
    const place = async (json: object): Promise<string> => {
      const response = await createSession(url, json);
      return response.code ?? (response.body as SessionView).wolf_instance_id;
    };
    // 0/4 0/2 0/1: the oldest; 1/4 0/2 0/1: the older; then the last; then 1/4 against 1/2; then 2/4 against 1/2: older.
    const placed: string[] = [];
    for (let i = 0; i < 5; i += 1) placed.push(await place({}));
    assert.deepEqual(placed, ["a", "b", "c", "a", "a"]);
    assert.equal(await place({ gpu_vendor: "amd" }), "b");
    assert.equal(await place({ gpu_vendor: "amd" }), "instances_full");
    assert.equal(await place({ privileged: true }), "instances_full");
    assert.equal(await place({ gpu_vendor: "intel" }), "no_instance_matches");
    assert.equal(await place({ gpu_vendor: "nvidia", privileged: true }), "no_instance_matches");
    assert.equal(await place({}), "a");
    assert.equal(await place({}), "instances_full");
    await Promise.all(stand.system.agents.map((agent) => agent.close()));
    await eventually(
      () => stand.system.controlPlane.runners().every(({ state }) => state === "gone"),
      "all offline",
    );
    assert.equal(await place({}), "no_instance_online");
  });
});
