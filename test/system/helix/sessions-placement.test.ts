import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { within } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { api, issueToken } from "../../support/api.ts";
import {
  assertNoOrphans,
  createSession,
  instancesUntil,
  listInstances,
  listSessions,
  newSession,
  startSessions,
} from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

describe("an instance whose Wolf is down behind a living agent", () => {
  it("swallows no creation while others have room", async () => {
    await using stand = await startSessions({ instances: ["a", "b", "c"] });
    const { url } = stand;
    await instancesUntil(url, (all) => all.length === 3, "the instances");
    await newSession(url);
    await newSession(url);
    await newSession(url);
    const [first] = (await listSessions(url)).filter((session) => session.wolf_instance_id === "a");
    await api(url, "DELETE", first?.links["self"] ?? ""); // the least loaded one
    await stand.wolf("a").close();
    const responses = await Promise.all(Array.from({ length: 8 }, () => createSession(url)));
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([201]));
    const places = (await listInstances(url)).map(({ connected_sandboxes }) => connected_sandboxes);
    assert.deepEqual(places, [0, 5, 5]);
    // From now on it is known to be down, and the last resort.
    const runner = JSON.parse((await call(`${url}/api/v1/runners/wolf-a`)).body) as {
      targets: { healthy: boolean }[];
    };
    assert.deepEqual(
      runner.targets.map(({ healthy }) => healthy),
      [false],
    );
  });

  it("is tried if no other has room, and the reason is reported if it cannot", async () => {
    await using stand = await startSessions({ instances: ["a", "b"] });
    const { url } = stand;
    await instancesUntil(url, (all) => all.length === 2, "the instances");
    await api(url, "POST", "/api/v1/wolf-instances/b/heartbeat", { json: { max_sandboxes: 0 } });
    await stand.wolf("a").close();
    for (let i = 0; i < 2; i += 1) {
      const response = await createSession(url);
      assert.deepEqual([response.status, response.code], [502, "target_refused"]);
    }
    assert.deepEqual(await listSessions(url), []);
  });
});

describe("a creation while the only instance reconnects", () => {
  it("waits for it, and is not made for a caller that has disconnected", async () => {
    await using stand = await startSessions();
    const { url } = stand;
    await stand.system.agent.close();
    await instancesUntil(url, ([one]) => one?.status === "reconnecting", "the loss");
    const caller = new AbortController();
    const body = JSON.stringify({ name: "gone" });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const gone = fetch(`${url}/api/v1/sessions`, { method: "POST", headers, body, signal: caller.signal });
    const stays = createSession(url, { name: "stays" });
    await listSessions(url); // both have been read
    caller.abort();
    await assert.rejects(gone);
    await listSessions(url);
    await stand.agent("a");
    assert.equal((await within(stays, "the creation")).status, 201);
    const sessions = await assertNoOrphans(url, stand.wolves);
    assert.deepEqual(
      sessions.map(({ name }) => name),
      ["stays"],
    );
  });

  it("waits for an instance that has never connected as long as its caller requests", async () => {
    await using stand = await startSessions({ agents: false });
    const { url } = stand;
    const at = await createSession(url);
    assert.deepEqual([at.status, at.code], [503, "no_instance_online"]);
    const json = { name: "first" };
    const waits = api(url, "POST", "/api/v1/sessions", { json, headers: { prefer: "wait=20" } });
    const brief = api(url, "POST", "/api/v1/sessions", { json, headers: { prefer: "wait=1" } });
    assert.equal((await brief).code, "no_instance_online");
    await stand.agent("a");
    assert.equal((await within(waits, "the creation")).status, 201);
  });

  it("is refused at the end of the control plane's drain", async () => {
    await using stand = await startSessions({ controlPlane: { drainMs: 100 } });
    await stand.system.agent.close();
    await instancesUntil(stand.url, ([one]) => one?.status === "reconnecting", "the loss");
    const waits = createSession(stand.url);
    await listSessions(stand.url);
    const closed = stand.system.controlPlane.close();
    assert.equal((await within(waits, "its refusal")).code, "control_plane_draining");
    await within(closed, "the end");
  });
});

describe("what a user may request", () => {
  it("are images that the operator allows, and of references only", async () => {
    await using stand = await startSessions({
      helix: { sandboxImage: "sandbox:1", allowedImages: ["desktops/*"] },
    });
    const { url } = stand;
    const alice = await issueToken(url, { id: "alice", kind: "user" });
    for (const [image, token, status, code] of [
      ["x y; rm -rf /", alice, 400, "bad_request"],
      ["x y; rm -rf /", undefined, 400, "bad_request"],
      ["other:1", alice, 403, "not_allowed"],
      ["other:1", undefined, 201, undefined],
      ["desktops/sway:2", alice, 201, undefined],
      ["sandbox:1", alice, 201, undefined],
    ] as const) {
      const response = await createSession(url, { image }, token);
      assert.deepEqual([response.status, response.code], [status, code], image);
    }
    const images = stand.wolf("a").state.lobbies.map(({ runner }) => runner["image"]);
    assert.deepEqual(images, ["other:1", "desktops/sway:2", "sandbox:1"]);
  });

  it("are so many sessions, also if many are requested at once, and another's do not count", async () => {
    await using stand = await startSessions({ helix: { maxSessionsPerUser: 2 } });
    const { url } = stand;
    const alice = await issueToken(url, { id: "alice", kind: "user" });
    const bob = await issueToken(url, { id: "bob", kind: "user" });
    const responses = await Promise.all(Array.from({ length: 5 }, () => createSession(url, {}, alice)));
    const outcomes = responses.map(({ status, code }) => code ?? String(status));
    assert.deepEqual(outcomes.toSorted(), ["201", "201", ...Array<string>(3).fill("too_many_sessions")]);
    assert.equal(responses.find(({ code }) => code !== undefined)?.status, 429);
    assert.equal((await createSession(url, {}, bob)).status, 201);
    assert.equal((await createSession(url, { owner: "alice" })).status, 201, "an admin's");
    assert.equal((await createSession(url, {}, alice)).code, "too_many_sessions");
    const [first, second] = await listSessions(url, alice);
    for (const session of [first, second]) {
      await api(url, "DELETE", session?.links["self"] ?? "", { token: alice });
    }
    assert.equal((await createSession(url, {}, alice)).status, 201);
  });
});
