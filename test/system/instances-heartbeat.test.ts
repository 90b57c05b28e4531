import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertNothingOpen } from "../support/nothing-open.ts";
import {
  api,
  heartbeat,
  instancesUntil,
  issueToken,
  listInstances,
  startSessions,
} from "./sessions-stand.ts";
import type { InstanceView, SessionStand } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

function disk(...percents: number[]): object {
  return {
    disk_usage: percents.map((used_percent, i) => ({
      mount_point: `/mnt${i}`,
      total_bytes: 1_000,
      used_bytes: used_percent * 10,
      avail_bytes: 1_000 - used_percent * 10,
      used_percent,
      alert_level: "whatever the agent thinks",
    })),
  };
}

async function only(stand: SessionStand): Promise<InstanceView> {
  const [instance] = await listInstances(stand.url);
  return instance ?? assert.fail("no instance");
}

describe("an instance", () => {
  it("registers itself by connecting, with Helix's defaults", async () => {
    await using stand = await startSessions();
    const { last_heartbeat, ...instance } = await only(stand);
    assert.equal(last_heartbeat, null);
    assert.deepEqual(
      { ...instance, created_at: undefined },
      {
        id: "a",
        name: "Wolf a",
        status: "online",
        runner: "wolf-a",
        connected_sandboxes: 0,
        max_sandboxes: 20,
        gpu_vendor: null,
        render_node: null,
        privileged_mode_enabled: false,
        desktop_versions: {},
        disk_usage: [],
        disk_alert_level: "ok",
        container_usage: [],
        created_at: undefined,
      },
    );
  });

  it("is online by its tunnel alone: a heartbeat of one that has gone changes nothing", async () => {
    await using stand = await startSessions({ controlPlane: { graceMs: 100 } });
    await stand.system.agent.close();
    await instancesUntil(stand.url, ([one]) => one?.status === "offline", "the end of its grace");
    assert.equal((await heartbeat(stand.url, "a", {})).status, 200);
    const { status, last_heartbeat } = await only(stand);
    assert.equal(status, "offline");
    assert.notEqual(last_heartbeat, null);
    await stand.agent("a");
    assert.equal((await only(stand)).status, "online", "without a new heartbeat");
  });

  it("keeps what a heartbeat does not mention", async () => {
    await using stand = await startSessions();
    const whole = {
      max_sandboxes: 7,
      gpu_vendor: "nvidia",
      render_node: "/dev/dri/renderD128",
      privileged_mode_enabled: true,
      desktop_versions: { sway: "abc" },
      container_usage: [{ container_id: "1", container_name: "x", size_bytes: 1, rw_size_bytes: 1 }],
      ...disk(50),
    };
    assert.equal((await heartbeat(stand.url, "a", whole)).status, 200);
    const before = await only(stand);
    for (const json of [
      {},
      { unheard_of: true },
      {
        max_sandboxes: null,
        gpu_vendor: null,
        render_node: null,
        privileged_mode_enabled: null,
        desktop_versions: null,
        disk_usage: null,
        container_usage: null,
      },
    ]) {
      assert.equal((await heartbeat(stand.url, "a", json)).status, 200, JSON.stringify(json));
      assert.deepEqual({ ...(await only(stand)), last_heartbeat: "" }, { ...before, last_heartbeat: "" });
    }
    const path = "/api/v1/wolf-instances/a/heartbeat";
    assert.equal((await api(stand.url, "POST", path)).status, 200, "no body at all");
    assert.deepEqual({ ...(await only(stand)), last_heartbeat: "" }, { ...before, last_heartbeat: "" });
    await heartbeat(stand.url, "a", { privileged_mode_enabled: false, max_sandboxes: 0 });
    const after = await only(stand);
    assert.deepEqual(
      [after.privileged_mode_enabled, after.max_sandboxes, after.gpu_vendor],
      [false, 0, "nvidia"],
    );
  });

  it("has the alert of its fullest disk: warning from 80, critical from 95 percent", async () => {
    await using stand = await startSessions();
    for (const [percents, level] of [
      [[79.9], "ok"],
      [[80], "warning"],
      [[10, 94.9, 3], "warning"],
      [[95, 10], "critical"],
      [[100], "critical"],
      [[0], "ok"],
      [[], "ok"],
    ] as const) {
      const answer = await heartbeat(stand.url, "a", disk(...percents));
      assert.deepEqual(answer.body, { status: "ok", disk_alert_level: level }, String(percents));
      assert.equal((await only(stand)).disk_alert_level, level);
    }
  });

  it("takes a percentage that is a little over as 100, and all the rest with it", async () => {
    await using stand = await startSessions();
    const [mount] = (disk(100) as { disk_usage: object[] }).disk_usage;
    const beat = { max_sandboxes: 3, disk_usage: [{ ...mount, used_percent: 100.01 }] };
    assert.equal((await heartbeat(stand.url, "a", beat)).status, 200);
    const { max_sandboxes, disk_usage } = await only(stand);
    assert.deepEqual([max_sandboxes, (disk_usage[0] as { used_percent: number }).used_percent], [3, 100]);
  });

  it("that is unknown gets 404, one with a wrong body 400, and nothing of it is kept", async () => {
    await using stand = await startSessions();
    const before = await only(stand);
    const unknown = await heartbeat(stand.url, "nobody", {});
    assert.deepEqual([unknown.status, unknown.code], [404, "instance_unknown"]);
    for (const json of [
      { max_sandboxes: -1 },
      { max_sandboxes: 1.5 },
      { max_sandboxes: "20" },
      { disk_usage: [{ mount_point: "/" }] },
      disk(101),
      { privileged_mode_enabled: "yes" },
      { desktop_versions: [] },
      [],
      "text",
    ]) {
      const answer = await heartbeat(stand.url, "a", json as object);
      assert.deepEqual([answer.status, answer.code], [400, "bad_request"], JSON.stringify(json));
    }
    const broken = await api(stand.url, "POST", "/api/v1/wolf-instances/a/heartbeat", {
      body: "{",
      headers: { "content-type": "application/json" },
    });
    assert.equal(broken.code, "bad_request");
    assert.deepEqual(await only(stand), before);
  });

  it("is spoken for by its own runner's token or an admin's, and by nobody else's", async () => {
    await using stand = await startSessions({ instances: ["a", "b"] });
    const { url } = stand;
    const own = await issueToken(url, { id: "wolf-a", kind: "runner", runners: ["wolf-a"] });
    const all = await issueToken(url, { id: "wolves", kind: "runner", runners: ["wolf-*"] });
    const moonlight = await issueToken(url, { id: "moon", kind: "runner", runners: ["moonlight-a"] });
    const user = await issueToken(url, { id: "alice", kind: "user", runners: ["*"] });
    for (const [id, token, status] of [
      ["a", own, 200],
      ["b", own, 403],
      ["nobody", own, 403],
      ["b", all, 200],
      ["nobody", all, 404],
      ["a", moonlight, 403],
      ["a", user, 403],
      ["a", undefined, 200],
    ] as const) {
      assert.equal((await heartbeat(url, id, {}, token)).status, status, id);
    }
  });
});
