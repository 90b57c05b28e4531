/**
 * Responses of newer versions, for each schema of the clients: further members and kinds, unknown variants, numbers that have
 * become texts and texts that have become numbers, null where a member was absent. None of them fails a call.
 */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { WebSocketServer } from "ws";
import { overUnixSocket } from "../../src/clients/dial/open-stream.ts";
import type { OpenStream } from "../../src/clients/dial/open-stream.ts";
import { createMoonlightClient } from "../../src/clients/moonlight/client.ts";
import type { HostStreamMessage } from "../../src/clients/moonlight/host-stream.ts";
import { createSandboxClient } from "../../src/clients/sandbox/client.ts";
import { createWolfClient } from "../../src/clients/wolf/client.ts";
import { moonlightInit } from "../support/moonlight-init.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startHttpTarget } from "../support/target.ts";

/** A service of a newer version: what it responds to each path. Text is sent as it is. */
async function service(responses: Readonly<Record<string, unknown>>): Promise<OpenStream> {
  const target = await startHttpTarget(
    ({ url = "" }, response) => {
      const body = responses[url.split("?", 1)[0] ?? ""];
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    },
    { on: "unix" },
  );
  const server = new WebSocketServer({ server: target.http, path: "/api/host/stream" });
  server.on("connection", (socket) => {
    socket.once("message", () => {
      for (const message of (responses["messages"] ?? []) as unknown[]) socket.send(JSON.stringify(message));
      socket.close();
    });
  });
  after = async () => {
    server.close();
    await target.close();
  };
  return overUnixSocket(target.address.replace("unix:", ""));
}

let after: (() => Promise<void>) | undefined;

afterEach(async () => {
  await after?.();
  await assertNothingOpen();
});

const NEW = { added: { deep: [1, null] } };

describe("Moonlight Web", () => {
  test("hosts, apps, sessions and status", async () => {
    const host = {
      ...NEW,
      host_id: "h-1",
      name: "wolf",
      paired: { Paired: { since: 1 } },
      server_state: { Busy: 7 },
    };
    const open = await service({
      "/api/hosts": { ...NEW, hosts: [host, { host_id: 2, name: "b", paired: "Pairing", server_state: 5 }] },
      "/api/apps": { ...NEW, apps: [{ ...NEW, app_id: "a b", title: "Wolf UI", is_hdr_supported: null }] },
      "/api/sessions": {
        ...NEW,
        sessions: [
          { ...NEW, session_id: 7, client_unique_id: 9, mode: { create: {} } },
          { session_id: "s", mode: null },
        ],
      },
      "/api/admin/status": { ...NEW, total_sessions: null },
    });
    const moonlight = createMoonlightClient(open, { credentials: "x" });
    assert.deepEqual(await moonlight.hosts(), [
      { ...host, paired: "Paired", server_state: "Busy" },
      { host_id: 2, name: "b", paired: "Pairing", server_state: undefined },
    ]);
    const [app] = await moonlight.apps("h 1");
    assert.deepEqual([app?.app_id, app?.["added"]], ["a b", NEW.added]);
    const sessions = await moonlight.sessions();
    assert.deepEqual(
      sessions.map(({ session_id, client_unique_id, mode }) => [session_id, client_unique_id, mode]),
      [
        ["7", "9", "create"],
        ["s", undefined, undefined],
      ],
    );
    assert.equal((await moonlight.status()).total_sessions, undefined);
  });

  test("a list of hosts that is followed by each host as it responds", async () => {
    const hosts = [1, 2].map((host_id) => ({
      host_id,
      name: `h${host_id}`,
      paired: "Paired",
      server_state: null,
    }));
    const [first, second] = hosts;
    const lines = [
      { hosts },
      { ...second, server_state: "Free" },
      { ...first, server_state: "Busy" },
      "Done",
    ];
    const open = await service({ "/api/hosts": lines.map((line) => `${JSON.stringify(line)}\n`).join("") });
    const found = await createMoonlightClient(open, { credentials: "x" }).hosts();
    assert.deepEqual(
      found.map(({ host_id, server_state }) => [host_id, server_state]),
      [
        [1, "Busy"],
        [2, "Free"],
      ],
    );
  });

  test("messages of a stream, of which one that is not known ends nothing", async () => {
    const candidate = { candidate: "c", sdp_mid: 0, sdp_mline_index: null, username_fragment: null, ...NEW };
    const open = await service({
      messages: [
        { UpdateApp: { app: { app_id: "a", title: "T", ...NEW }, ...NEW } },
        {
          WebRtcConfig: {
            ice_servers: [{ urls: "stun:x", username: null, credential: null, ...NEW }],
            ...NEW,
          },
        },
        { WebRtcConfig: { ice_servers: "none" } },
        { Signaling: { Description: { ty: "pranswer", sdp: "v=0", ...NEW } } },
        { Signaling: { Description: { ty: "future", sdp: "v=0" } } },
        { Signaling: { EndOfCandidates: {} } },
        { Signaling: { AddIceCandidate: candidate } },
        { StageFailed: { stage: "s", error_code: "E_111" } },
        { StageStarting: "s" },
        {
          ConnectionComplete: {
            capabilities: { touch: "yes" },
            width: 1,
            height: 2,
            client_id: "1844674",
            ...NEW,
          },
        },
        { ConnectionComplete: { capabilities: null, width: null, client_id: null } },
        { ConnectionTerminated: { error_code: null } },
        { PeerDisconnect: { reason: "gone" } },
        { DebugLog: { message: "m", ty: null } },
        "FutureWord",
      ],
    });
    const { credentials: _credentials, ...init } = moonlightInit("x");
    const moonlight = createMoonlightClient(open, { credentials: "x" });
    const seen: HostStreamMessage[] = [];
    const stream = await moonlight.openStream({ ...init, host_id: "h-1" });
    for await (const message of stream) seen.push(message);
    assert.deepEqual(
      seen.map((message) => (message.tag === "unknown" ? message.value.name : `known ${message.tag}`)),
      [
        "known UpdateApp",
        "known WebRtcConfig",
        "WebRtcConfig",
        "known Signaling",
        "Signaling",
        "Signaling",
        "known Signaling",
        "known StageFailed",
        "StageStarting",
        "known ConnectionComplete",
        "known ConnectionComplete",
        "known ConnectionTerminated",
        "known PeerDisconnect",
        "DebugLog",
        "FutureWord",
      ],
    );
    const complete = seen.filter(({ tag }) => tag === "ConnectionComplete").map(({ value }) => value);
    assert.deepEqual(complete, [
      { capabilities: { touch: undefined }, width: 1, height: 2, client_id: "1844674", ...NEW },
      { capabilities: { touch: undefined }, width: undefined, client_id: null },
    ]);
    const [, config] = seen;
    assert.ok(config?.tag === "WebRtcConfig");
    assert.deepEqual(config.value.ice_servers[0]?.urls, ["stun:x"]);
  });
});

describe("Wolf", () => {
  const ok = { success: true, ...NEW };

  test("apps, profiles, clients, pairing, sessions and lobbies", async () => {
    const lobby = {
      id: 5,
      name: "n",
      multi_user: null,
      started_by_profile_id: 8,
      pin_required: "no",
      ...NEW,
    };
    const open = await service({
      "/api/v1/apps": {
        ...ok,
        apps: [
          { id: 1, title: "A", support_hdr: "auto", icon_png_path: 3, runner: { type: "podman", ...NEW } },
        ],
      },
      "/api/v1/profiles": { ...ok, profiles: [{ id: 2, name: "P", ...NEW }] },
      "/api/v1/clients": {
        ...ok,
        clients: [
          {
            client_id: 3,
            app_state_folder: null,
            settings: { run_uid: "1000", controllers_override: null, ...NEW },
          },
          { client_id: 4, settings: null },
        ],
      },
      "/api/v1/pair/pending": { ...ok, requests: [{ pair_secret: 4, client_ip: null, ...NEW }] },
      "/api/v1/sessions": {
        ...ok,
        sessions: [{ app_id: 1, client_id: 2, client_ip: null, aes_iv: 7, video_width: "1920", ...NEW }],
      },
      "/api/v1/sessions/add": { ...ok, session_id: 18 },
      "/api/v1/sessions/configure": { ...ok, message: null },
      "/api/v1/lobbies": {
        ...ok,
        lobbies: [{ ...lobby, runner: { type: { podman: {} }, env: null }, connected_sessions: [1, "2"] }],
      },
      "/api/v1/lobbies/create": { ...ok, lobby_id: 6 },
      "/api/v1/lobbies/stop": { ...ok, error: null },
    });
    const wolf = createWolfClient(open);
    const [app] = await wolf.apps.list();
    assert.deepEqual([app?.id, app?.support_hdr, app?.icon_png_path], ["1", undefined, undefined]);
    assert.deepEqual(app?.runner, { type: "podman", ...NEW });
    assert.equal((await wolf.profiles.list())[0]?.id, "2");
    const clients = await wolf.clients.list();
    assert.deepEqual(
      clients.map(({ client_id, settings }) => [client_id, settings]),
      [
        ["3", { run_uid: undefined, controllers_override: undefined, ...NEW }],
        ["4", {}],
      ],
    );
    assert.equal((await wolf.pairing.pending())[0]?.pair_secret, "4");
    const [session] = await wolf.sessions.list();
    assert.deepEqual([session?.client_id, session?.aes_iv, session?.video_width], ["2", "7", undefined]);
    assert.equal(await wolf.sessions.add({ app_id: "1" }), "18");
    assert.equal(await wolf.sessions.configure("u", "l"), "");
    const [found] = await wolf.lobbies.list();
    assert.deepEqual([found?.id, found?.multi_user, found?.pin_required], ["5", undefined, undefined]);
    assert.deepEqual([found?.started_by_profile_id, found?.connected_sessions], ["8", ["1", "2"]]);
    assert.equal(found?.runner.type, "podman");
    await wolf.lobbies.stop("5");
  });

  test("images, memory, health and keyboards", async () => {
    const layer = {
      pressed_keys: [16],
      pressed_key_names: ["KEY_LEFTSHIFT"],
      modifier_state: { shift: true, hyper: 1 },
    };
    const open = await service({
      "/api/v1/docker/images/inspect": { Id: "sha256:1", RepoTags: {}, ...NEW },
      "/api/v1/docker/images/pull":
        '{"layer_id":null,"current_progress":"5","total":{}}\n{"status":"Extracting"}\n{"success":true,"error":null}\n',
      "/api/v1/system/memory": {
        ...ok,
        process_rss_bytes: "9",
        gstreamer_buffer_bytes: null,
        apps: null,
        lobbies: [{ lobby_id: 3, memory_bytes: "77", client_count: null, ...NEW }],
        clients: [{ client_id: 4, memory_bytes: {} }],
        gpu_stats: { available: "partly", gpu_name: null, error: { code: 1 } },
        gstreamer_pipelines: { total_pipelines: null, ...NEW },
      },
      "/api/v1/system/health": {
        ...ok,
        threads: [{ tid: "12", name: null, is_stuck: "maybe", heartbeat_count: 1.5, ...NEW }],
        stuck_thread_count: null,
        overall_status: { degraded: { why: "disk" } },
      },
      "/api/v1/keyboard/state": {
        ...ok,
        sessions: [
          {
            session_id: 1,
            wolf_state: layer,
            inputtino_state: [16],
            evdev_state: null,
            has_mismatch: "soft",
          },
          { session_id: "2", ...layer },
        ],
      },
      "/api/v1/keyboard/reset": { ...ok, released_keys: null, message: { code: 1 } },
    });
    const wolf = createWolfClient(open);
    assert.deepEqual(await wolf.images.inspect("a"), { Id: "sha256:1", RepoTags: undefined, ...NEW });
    const pulled: unknown[] = [];
    for await (const line of wolf.images.pull("a")) pulled.push(line);
    assert.deepEqual(pulled.slice(0, 2), [
      { layer_id: undefined, current_progress: 5, total: undefined },
      { status: "Extracting" },
    ]);
    const memory = await wolf.system.memory();
    assert.deepEqual([memory.process_rss_bytes, memory.apps, memory.lobbies[0]?.memory_bytes], [9, [], 77]);
    assert.deepEqual(memory.gpu_stats, { available: undefined, gpu_name: undefined, error: undefined });
    const health = await wolf.system.health();
    assert.deepEqual([health.overall_status, health.threads[0]?.tid], ["degraded", 12]);
    const [layered, plain] = await wolf.system.keyboards();
    assert.deepEqual([layered?.session_id, layered?.wolf_state?.pressed_keys], ["1", [16]]);
    assert.equal(layered?.inputtino_state, undefined);
    assert.equal(plain?.modifier_state?.shift, true);
    assert.deepEqual(await wolf.system.resetKeyboard("1"), { ...ok, released_keys: [], message: "" });
  });
});

describe("a sandbox", () => {
  test("clipboard, upload and programs", async () => {
    const contents: unknown[] = [
      { type: "text", data: "", ...NEW },
      { type: "html", data: "<b>" },
      { type: { files: 2 }, data: ["a", "b"] },
      { type: "text", data: { utf8: "x" } },
      "",
    ];
    const open = await service({
      get "/clipboard"() {
        return contents.shift();
      },
      "/upload": { path: "/p", size: "9007199254740993", filename: "f", ...NEW },
      "/exec": { success: true, output: null, error: null, exit_code: null, pid: "44", ...NEW },
    });
    const sandbox = createSandboxClient(open);
    assert.deepEqual(await sandbox.clipboard(), { kind: "empty" });
    assert.deepEqual(await sandbox.clipboard(), { kind: "unknown", type: "html", data: "<b>" });
    assert.deepEqual(await sandbox.clipboard(), { kind: "unknown", type: "files", data: ["a", "b"] });
    assert.deepEqual(await sandbox.clipboard(), { kind: "unknown", type: "text", data: { utf8: "x" } });
    assert.deepEqual(await sandbox.clipboard(), { kind: "empty" });
    assert.equal((await sandbox.upload("f", [])).filename, "f");
    assert.deepEqual(await sandbox.exec(["ls"]), {
      success: true,
      output: "",
      error: "",
      exitCode: 0,
      pid: 44,
    });
  });
});
