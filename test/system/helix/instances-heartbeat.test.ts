import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { keptLog } from "../../support/agents.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { tempPath } from "../../support/temp.ts";
import { api, issueToken } from "../../support/api.ts";
import { heartbeat, instancesUntil, listInstances, startSessions } from "./sessions-stand.ts";
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

/** GPUs whose memory is so full; of null it is not known. */
function gpus(...percents: (number | null)[]): object {
  return {
    gpus: percents.map((percent, index) => ({
      index,
      model_name: "NVIDIA H100 PCIe",
      vendor: "nvidia",
      total_memory: 1_000,
      used_memory: percent === null ? null : percent * 10,
      driver_version: "570.211.01",
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
        disk_reported_at: null,
        gpus: [],
        gpu_alert_level: "ok",
        gpus_reported_at: null,
        container_usage: [],
        created_at: undefined,
      },
    );
  });

  it("is online only by its tunnel: a heartbeat after the tunnel is lost changes nothing", async () => {
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
      ...gpus(60),
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
        gpus: null,
        gpu_stats: null,
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
      const response = await heartbeat(stand.url, "a", disk(...percents));
      const { disk_alert_level, ...others } = response.body as Record<string, unknown>;
      assert.deepEqual(others, { status: "ok", gpu_alert_level: "ok" });
      assert.equal(disk_alert_level, level, String(percents));
      assert.equal((await only(stand)).disk_alert_level, level);
    }
  });

  it("clamps a percentage slightly above 100, and keeps the rest of the heartbeat", async () => {
    await using stand = await startSessions();
    const [mount] = (disk(100) as { disk_usage: object[] }).disk_usage;
    const beat = { max_sandboxes: 3, disk_usage: [{ ...mount, used_percent: 100.01 }] };
    assert.equal((await heartbeat(stand.url, "a", beat)).status, 200);
    const { max_sandboxes, disk_usage } = await only(stand);
    assert.deepEqual([max_sandboxes, (disk_usage[0] as { used_percent: number }).used_percent], [3, 100]);
  });

  it("has the alert of its fullest GPU, and shows each of them with its own", async () => {
    await using stand = await startSessions();
    for (const [percents, each, level] of [
      [[79.9], ["ok"], "ok"],
      [[80], ["warning"], "warning"],
      [[10, 94.9, 3], ["ok", "warning", "ok"], "warning"],
      [[96, 10], ["critical", "ok"], "critical"],
      [[250], ["critical"], "critical"],
      [[null, 0], ["ok", "ok"], "ok"],
      [[], [], "ok"],
    ] as const) {
      const response = await heartbeat(stand.url, "a", gpus(...percents));
      assert.deepEqual(
        response.body,
        { status: "ok", disk_alert_level: "ok", gpu_alert_level: level },
        String(percents),
      );
      const instance = await only(stand);
      assert.deepEqual(
        instance.gpus.map(({ alert_level }) => alert_level),
        each,
      );
      assert.deepEqual([instance.gpu_alert_level, instance.disk_reported_at], [level, null]);
      const one = await api(stand.url, "GET", "/api/v1/wolf-instances/a");
      assert.deepEqual((one.body as InstanceView).gpus, instance.gpus);
    }
    const busy = { gpu_stats: { gpu_utilization_percent: 100, memory_used_mb: 1, memory_total_mb: 10 } };
    const { body } = await heartbeat(stand.url, "a", busy);
    assert.equal((body as { gpu_alert_level: string }).gpu_alert_level, "ok", "busy is not full");
  });

  it("keeps its figures across a restart of the control plane", async () => {
    const controlPlane = { dataDirectory: tempPath("-data") };
    let before: InstanceView;
    {
      await using stand = await startSessions({ controlPlane });
      await heartbeat(stand.url, "a", { ...gpus(96), ...disk(81) });
      before = await only(stand);
    }
    await using stand = await startSessions({ controlPlane, agents: false });
    const { status, ...after } = await only(stand);
    assert.notEqual(status, "online");
    assert.deepEqual([after.gpu_alert_level, after.disk_alert_level], ["critical", "warning"]);
    assert.deepEqual(after.gpus, before.gpus);
    assert.deepEqual(
      [after.gpus_reported_at, after.disk_reported_at],
      [before.gpus_reported_at, before.disk_reported_at],
    );
  });

  it("has a gauge for its fullest disk and one for its fullest GPU, once they are known", async () => {
    await using stand = await startSessions({ instances: ["a", "b", "c"] });
    const gauges = async (): Promise<string[]> => {
      const { status, body } = await call(`${stand.url}/metrics`);
      assert.equal(status, 200);
      return body.split("\n").filter((line) => line.startsWith("turnabout_wolf_instance"));
    };
    assert.deepEqual(await gauges(), []);
    await heartbeat(stand.url, "a", { ...disk(12.5, 81), ...gpus(7, 33) });
    await heartbeat(stand.url, "b", disk(5));
    await heartbeat(stand.url, "c", gpus(2));
    assert.deepEqual(await gauges(), [
      'turnabout_wolf_instance_disk_used_percent{wolf_instance="a"} 81',
      'turnabout_wolf_instance_disk_used_percent{wolf_instance="b"} 5',
      'turnabout_wolf_instance_gpu_memory_used_percent{wolf_instance="a"} 33',
      'turnabout_wolf_instance_gpu_memory_used_percent{wolf_instance="c"} 2',
    ]);
  });

  it("is logged once when a level is reached, and not when it falls", async () => {
    const { log, lines } = keptLog();
    await using stand = await startSessions({ controlPlane: { log } });
    const alerts = (): unknown[] =>
      lines.all
        .filter(({ message }) => message.endsWith("is filling up"))
        .map(({ message, fields }) => [message, fields["alert"], fields["usedPercent"]]);
    for (const beat of [
      gpus(81),
      gpus(85, 2),
      {},
      disk(96),
      disk(80),
      gpus(96, 97),
      gpus(99),
      gpus(50),
      gpus(80),
    ]) {
      await heartbeat(stand.url, "a", beat);
    }
    assert.deepEqual(alerts(), [
      ["instance: GPU memory is filling up", "warning", 81],
      ["instance: a disk is filling up", "critical", 96],
      ["instance: GPU memory is filling up", "critical", 97],
      ["instance: GPU memory is filling up", "warning", 80],
    ]);
    for (const { level, fields } of lines.all.filter(({ message }) => message.endsWith("is filling up"))) {
      assert.deepEqual([level, fields["instance"]], ["warn", "a"]);
    }
  });

  it("that is unknown gets 404", async () => {
    await using stand = await startSessions();
    const unknown = await heartbeat(stand.url, "nobody", {});
    assert.deepEqual([unknown.status, unknown.code], [404, "instance_unknown"]);
  });

  it("has each heartbeat accepted: what does not match is named, ignored, and logged once", async () => {
    const { log, lines } = keptLog();
    await using stand = await startSessions({ controlPlane: { log } });
    const before = await only(stand);
    const headers = { "content-type": "application/json" };
    let last = "";
    for (const [body, complaint] of [
      ["", "body: empty"],
      ["{", "body: not JSON"],
      ["[".repeat(100) + "]".repeat(100), "body: not JSON"],
      ["{", "body: not JSON"],
      ["[]", "body: not an object"],
      ['{"max_sandboxes":-1}', "max_sandboxes: "],
      ['{"disk_usage":[{"mount_point":"/"}]}', "disk_usage.0.total_bytes: "],
      ['{"gpus":[5]}', "gpus.0: not an object"],
    ] as const) {
      const path = "/api/v1/wolf-instances/a/heartbeat";
      const response = await api(stand.url, "POST", path, { body, headers });
      assert.equal(response.status, 200, body);
      const { ignored, ...levels } = response.body as { ignored: string[] };
      assert.deepEqual(levels, { status: "ok", disk_alert_level: "ok", gpu_alert_level: "ok" });
      assert.deepEqual([ignored.length, ignored[0]?.startsWith(complaint)], [1, true], String(ignored));
      const { last_heartbeat, ...instance } = await only(stand);
      assert.ok(last_heartbeat !== null && last_heartbeat >= last);
      last = last_heartbeat;
      assert.deepEqual({ ...instance, last_heartbeat: null }, before);
    }
    const logged = lines.all.filter(({ message }) => message.startsWith("heartbeat"));
    assert.deepEqual([logged.length, logged[0]?.fields["instance"]], [6, "a"]);

    const form = await api(stand.url, "POST", "/api/v1/wolf-instances/a/heartbeat", {
      body: '{"max_sandboxes":4}',
      headers: { "content-type": "application/x-www-form-urlencoded" }, // curl's own
    });
    assert.equal(form.status, 200);
    const { max_sandboxes } = await only(stand);
    assert.equal(max_sandboxes, 4);
  });

  it("has a heartbeat refused if the body is larger than a mebibyte", async () => {
    await using stand = await startSessions();
    const response = await heartbeat(stand.url, "a", { padding: "x".repeat(1024 * 1024) });
    assert.deepEqual([response.status, response.code], [413, "payload_too_large"]);
  });

  it("takes heartbeats with its own runner's token or an admin's, and with no other", async () => {
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
