/** The Wolf client against the double: every endpoint, over each kind of connection. */
import assert from "node:assert/strict";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { createWolfClient, wolfOverTunnel, wolfOverUnixSocket } from "../../src/clients/wolf/client.ts";
import type { WolfClient } from "../../src/clients/wolf/client.ts";
import type { WolfEvent, WolfEventStream } from "../../src/clients/wolf/events.ts";
import type { PullProgress } from "../../src/clients/wolf/images.ts";
import { MAX_CALLS } from "../../src/clients/wolf/limits.ts";
import type { NewLobby } from "../../src/clients/wolf/lobbies.ts";
import { createWolfDouble } from "../../src/demo/wolf/double.ts";
import type { WolfDouble } from "../../src/demo/wolf/double.ts";
import { eventually, turn, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { RUNNER } from "../support/system.ts";
import { tempPath } from "../support/temp.ts";
import { code, reach } from "./reach.ts";
import type { Reached, ConnectionKind } from "./reach.ts";

const KINDS: readonly ConnectionKind[] = ["unix", "tunnel", "remote"];

const runner = {
  type: "docker" as const,
  name: "sway",
  image: "helix-sway:latest",
  mounts: [],
  env: ["A=b"],
  devices: [],
  ports: [],
  base_create_json: "{}",
};

const lobby: NewLobby = {
  profile_id: "helix-sessions",
  name: "Agent ses_01",
  multi_user: true,
  stop_when_everyone_leaves: false,
  video_settings: {
    width: 1920,
    height: 1080,
    refresh_rate: 60,
    wayland_render_node: "/dev/dri/renderD128",
    runner_render_node: "/dev/dri/renderD128",
    video_producer_buffer_caps: "video/x-raw",
  },
  audio_settings: { channel_count: 2 },
  runner_state_folder: "agent-ses_01",
  runner,
};

for (const kind of KINDS) {
  describe(`Wolf's client, ${kind}`, () => {
    let double: WolfDouble;
    let reached: Reached;
    let wolf: WolfClient;
    /** Connections of the double, counted at each request. */
    let mostConnections = 0;
    const called = new Set<string>();

    beforeEach(async () => {
      mostConnections = 0;
      double = await createWolfDouble({
        socketPath: tempPath(),
        onRequest: ({ rawMethod, path }) => {
          called.add(`${rawMethod.toLowerCase()} ${path}`);
          mostConnections = Math.max(mostConnections, double.openConnections);
        },
      });
      reached = await reach(kind, "wolf", `unix:${double.socketPath}`, wolfOverTunnel);
      wolf = createWolfClient(kind === "unix" ? wolfOverUnixSocket(double.socketPath) : reached.open);
    });

    afterEach(async () => {
      try {
        await within(double.whenIdle(), "the end of all connections to Wolf");
        assert.equal(double.eventStreams, 0);
      } finally {
        await reached[Symbol.asyncDispose]();
        await double.close();
      }
      await assertNothingOpen();
    });

    after(() => {
      assert.deepEqual(
        endpoints.filter((endpoint) => !called.has(endpoint)),
        [],
        "endpoints that no test has called",
      );
    });
    let endpoints: string[] = [];

    test("lists, adds and deletes apps", async () => {
      assert.deepEqual(
        (await wolf.apps.list()).map(({ id }) => id),
        ["134906179", "897611421"],
      );
      await wolf.apps.add({ id: "42", title: "Mine", support_hdr: true, runner });
      const added = (await wolf.apps.list()).find(({ id }) => id === "42");
      assert.equal(added?.title, "Mine");
      assert.equal(added.support_hdr, true);
      assert.deepEqual(added.runner, runner);
      await wolf.apps.delete("42");
      assert.equal((await wolf.apps.list()).length, 2);
    });

    test("lists, adds and removes profiles, and keeps fields that it does not know", async () => {
      await wolf.profiles.add({ id: "p1", name: "Zoë", future_field: [1] });
      const added = (await wolf.profiles.list()).find(({ id }) => id === "p1");
      assert.deepEqual(added, { id: "p1", name: "Zoë", future_field: [1] });
      await wolf.profiles.remove("p1");
      assert.deepEqual(
        (await wolf.profiles.list()).map(({ id }) => id),
        ["helix-sessions"],
      );
    });

    test("changes the settings of a client", async () => {
      const [first] = await wolf.clients.list();
      assert.ok(first);
      assert.equal(first.client_id, double.state.clients[0]?.client_id);
      await wolf.clients.update(first.client_id, { settings: { run_uid: 1234 } });
      const [changed] = await wolf.clients.list();
      assert.equal(changed?.settings.run_uid, 1234);
      assert.equal(changed.settings.run_gid, 1000);
      await assert.rejects(wolf.clients.update("1", {}), {
        name: "WolfError",
        status: 404,
        reason: "Client not found",
      });
    });

    test("pairs and unpairs", async () => {
      assert.deepEqual(await wolf.pairing.pending(), [
        { pair_secret: "demo-pair-secret", client_ip: "172.19.0.50" },
      ]);
      await wolf.pairing.pair("demo-pair-secret", "1234");
      assert.deepEqual(await wolf.pairing.pending(), []);
      const clients = await wolf.clients.list();
      assert.equal(clients.length, 2);
      const newest = clients[1]?.client_id ?? "";
      await wolf.pairing.unpair(newest);
      assert.equal((await wolf.clients.list()).length, 1);
      await assert.rejects(wolf.pairing.unpair(newest), { name: "WolfError", status: 404 });
      await assert.rejects(wolf.pairing.pair("demo-pair-secret", "1234"), {
        name: "WolfError",
        status: 500,
        reason: "Invalid pair secret",
      });
    });

    test("runs a session from its start to its end, with every digit of its id", async () => {
      const id = await wolf.sessions.add({ app_id: "897611421", client_unique_id: "u1", video_width: 2560 });
      assert.equal(id, double.state.sessions[1]?.client_id);
      assert.notEqual(String(Number(id)), id, "this id must be one that a number cannot hold");
      const added = (await wolf.sessions.list()).find(({ client_id }) => client_id === id);
      assert.equal(added?.video_width, 2560);
      assert.equal(added.aes_key?.length, 32);
      await wolf.sessions.start(id, { video_session: { display_mode: {} }, audio_session: {} });
      await wolf.sessions.pause(id);
      await wolf.sessions.input(id, Buffer.from([0x00, 0x0a, 0xff]));
      assert.match(double.requests.at(-1)?.body ?? "", /"input_packet_hex":"000AFF"/);
      assert.match(await wolf.sessions.configure("u1", "lobby-1"), /u1/);
      assert.equal((await wolf.sessions.list())[1]?.immediate_lobby_id, "lobby-1");
      await wolf.sessions.stop(id);
      assert.equal((await wolf.sessions.list()).length, 1);
      await assert.rejects(wolf.sessions.stop(id), { name: "WolfError", reason: "Invalid session_id" });
      await assert.rejects(wolf.sessions.add({ app_id: "none" }), { name: "WolfError", status: 500 });
    });

    test("starts a runner: no response means success, there and nowhere else", async () => {
      const session = double.state.sessions[0]?.client_id ?? "";
      await wolf.sessions.startRunner(session, runner, { stopStreamWhenOver: true });
      assert.equal(
        double.requests.at(-1)?.body,
        JSON.stringify({ stop_stream_when_over: true, runner, session_id: session }),
      );
      const unknown = wolf.sessions.startRunner("1", runner, { stopStreamWhenOver: true });
      await assert.rejects(unknown, { name: "WolfError", reason: "Invalid session_id" });
      // The double closes without a word here too: it cannot parse the name.
      const silent = wolf.images.pull(undefined as unknown as string).next();
      await assert.rejects(silent, code("target_closed"));
    });

    test("runs a lobby from its start to its end, PIN included", async () => {
      const pin = [1, 2, 3, 4] as const;
      const id = await wolf.lobbies.create({ ...lobby, pin });
      const [created] = await wolf.lobbies.list();
      assert.equal(created?.id, id);
      assert.equal(created.pin_required, true);
      const session = double.state.sessions[0]?.client_id ?? "";
      await assert.rejects(wolf.lobbies.join(id, session), { name: "WolfError", reason: "Invalid PIN" });
      await wolf.lobbies.join(id, session, { pin });
      assert.deepEqual((await wolf.lobbies.list())[0]?.connected_sessions, [session]);
      await wolf.lobbies.setPipeWireNodeId(id, 47);
      await wolf.lobbies.pause(id);
      await wolf.lobbies.resume(id);
      await wolf.lobbies.leave(id, session);
      assert.deepEqual((await wolf.lobbies.list())[0]?.connected_sessions, []);
      await assert.rejects(wolf.lobbies.stop(id), { name: "WolfError", status: 500, reason: "Invalid PIN" });
      await wolf.lobbies.stop(id, { pin });
      assert.deepEqual(await wolf.lobbies.list(), []);
    });

    test("reads memory, health and keyboards", async () => {
      const memory = await wolf.system.memory();
      assert.ok(memory.process_rss_bytes > 0);
      assert.equal(memory.gpu_stats?.gpu_name, "Demo GPU");
      const health = await wolf.system.health();
      assert.equal(health.overall_status, "healthy");
      assert.equal(health.threads[0]?.current_request_path, "/api/v1/system/health");
      const [keyboard] = await wolf.system.keyboards();
      assert.deepEqual(keyboard?.pressed_keys, [16]);
      assert.equal(keyboard.modifier_state?.shift, true);
      const { released_keys } = await wolf.system.resetKeyboard(keyboard.session_id);
      assert.deepEqual(released_keys, ["KEY_LEFTSHIFT"]);
      assert.deepEqual((await wolf.system.keyboards())[0]?.pressed_keys, []);
    });

    test("gets icons and images", async () => {
      const icon = await wolf.images.icon("WolfUI.png");
      assert.equal(icon.toString("latin1", 1, 4), "PNG");
      await assert.rejects(wolf.images.icon("none.png"), {
        name: "WolfError",
        status: 404,
        reason: "Icon not found",
      });
      const image = await wolf.images.inspect("ghcr.io/games-on-whales/wolf-ui:main");
      assert.deepEqual(image.RepoTags, ["ghcr.io/games-on-whales/wolf-ui:main"]);
      await assert.rejects(wolf.images.inspect("none:1"), { name: "WolfError", status: 404 });
      // Wolf would cut it at the second "=".
      await assert.rejects(async () => wolf.images.inspect("a=b"), code("bad_request"));
    });

    test("pulls an image line by line, and serves others meanwhile", async () => {
      const pull = wolf.images.pull("new:1");
      const first = await pull.next();
      assert.deepEqual(first.value, { layer_id: "a1b2c3", current_progress: 50, total: 100 });
      assert.equal((await wolf.apps.list()).length, 2);
      const rest: PullProgress[] = [];
      for await (const line of pull) rest.push(line);
      assert.equal(rest.length, 4);
      assert.deepEqual(rest.at(-1), { success: true });
      assert.ok((await wolf.images.inspect("new:1")).Id);
      await assert.rejects(wolf.images.pull("missing:1").next(), {
        name: "WolfError",
        reason: "Failed to pull image",
      });
    });

    test("knows what the schema lists", async () => {
      const schema = await wolf.system.schema();
      const paths = schema["paths"] as Record<string, object>;
      endpoints = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method} ${path}`),
      );
      assert.ok(endpoints.length > 35);
    });

    test("sends a Content-Length with every body, nothing chunked, and each request alone", async () => {
      await wolf.pairing.pending();
      await wolf.apps.add({ id: "42", title: "ü".repeat(5_000), support_hdr: false, runner });
      await wolf.apps.list();
      assert.equal(double.requests.length, 3);
      for (const { headers, body, rawMethod } of double.requests) {
        assert.equal(headers.get("transfer-encoding"), undefined);
        assert.equal(headers.get("host"), "localhost");
        if (rawMethod === "GET") continue;
        assert.equal(headers.get("content-length"), String(Buffer.byteLength(body ?? "")));
      }
    });

    test("hears events, typed by name, while others are served", async () => {
      await using events = await wolf.events();
      assert.equal(double.eventStreams, 1);
      const id = await wolf.lobbies.create(lobby);
      await wolf.lobbies.stop(id);
      const created = await nextEvent(events);
      assert.equal(created.name, "CreateLobbyEvent");
      assert.equal(created.type, "wolf::core::events::CreateLobbyEvent");
      assert.deepEqual(created.data, { id, name: lobby.name, runner: lobby.runner });
      assert.equal(created.missed, 0);
      const stopped = await nextEvent(events);
      assert.equal(stopped.name, "StopLobbyEvent");
      double.emitEvent("DockerPullImageStartEvent", { image_name: "a" });
      assert.equal((await nextEvent(events)).name, "DockerPullImageStartEvent");
      await events.close();
      assert.equal(await events.next(), undefined);
      await within(double.whenIdle(), "the end of the event stream");
    });

    test("keeps reading events that are not taken, and reports how many were dropped", async () => {
      await using events = await wolf.events();
      const sent = 8_000;
      for (let n = 1; n <= sent; n += 1) {
        double.emitEvent("wolf::core::events::IDRRequestEvent", { n, filler: "x".repeat(1_000) });
        if (n % 50 === 0) await turn(5);
      }
      double.emitEvent("last", {});
      let seen = 0;
      let missed = 0;
      for (;;) {
        const event = await nextEvent(events);
        missed += event.missed;
        if (event.name === "last") break;
        seen += 1;
      }
      assert.equal(seen + missed, sent);
      assert.ok(missed > 0, "a reader that never reads cannot have got everything");
      assert.equal(double.eventStreams, 1, "the double drops a client that does not read");
    });

    test("waits for a busy Wolf, and stops when it is aborted", async () => {
      const release = double.hold();
      const patient = wolf.apps.list();
      const hasty = wolf.sessions.list({ timeoutMs: 1_000 });
      await assert.rejects(hasty, code("response_timeout"));
      const giveUp = new AbortController();
      const given = wolf.system.health({ signal: giveUp.signal });
      await eventually(() => double.requests.length === 3, "three requests");
      giveUp.abort();
      await assert.rejects(given, code("aborted"));
      release();
      assert.equal((await patient).length, 2);
    });

    test("creates a lobby that takes its time: others wait, and none fails", async () => {
      const slow = { ...lobby, double_block_ms: 300 };
      const creating = wolf.lobbies.create(slow);
      await eventually(() => double.requests.length === 1, "the create request");
      await wolf.apps.list();
      assert.equal(double.state.lobbies[0]?.id, await creating, "the list waited for the lobby");
    });

    test("sends one lobbies/create at a time, so that a waiting one can be withdrawn", async () => {
      const release = double.hold();
      const first = wolf.lobbies.create({ ...lobby, name: "first" });
      const giveUp = new AbortController();
      const second = wolf.lobbies.create({ ...lobby, name: "second" }, { signal: giveUp.signal });
      const third = wolf.lobbies.create({ ...lobby, name: "third" }, { timeoutMs: 50 });
      await assert.rejects(third, code("overloaded"));
      giveUp.abort();
      await assert.rejects(second, code("aborted"));
      release();
      await first;
      assert.deepEqual(
        (await wolf.lobbies.list()).map(({ name }) => name),
        ["first"],
      );
    });

    test("opens a bounded number of connections, and queues the rest", async () => {
      const release = double.hold();
      const calls = Array.from({ length: 3 * MAX_CALLS }, () => wolf.apps.list());
      await eventually(() => double.requests.length === MAX_CALLS, "as many requests as may run");
      await assert.rejects(wolf.apps.list({ timeoutMs: 20 }), code("overloaded"));
      release();
      await Promise.all(calls);
      assert.equal(double.requests.length, 3 * MAX_CALLS);
      // A connection that is being closed may still be counted when its successor comes.
      assert.ok(mostConnections <= 2 * MAX_CALLS, `${mostConnections} connections at once`);
    });

    test("does not send a call that was aborted while it waited", async () => {
      const signal = AbortSignal.abort();
      await assert.rejects(wolf.apps.list({ signal }), code("aborted"));
      await assert.rejects(wolf.events({ signal }), code("aborted"));
      await assert.rejects(wolf.lobbies.create(lobby, { signal }), code("aborted"));
      assert.equal(double.requests.length, 0);
    });

    test("ends an event stream when it is aborted", async () => {
      const giveUp = new AbortController();
      const events = await wolf.events({ signal: giveUp.signal });
      const next = events.next();
      giveUp.abort();
      await assert.rejects(next, code("aborted"));
      await within(double.whenIdle(), "the end of the event stream");
    });

    test("ends an event stream when its loop is left", async () => {
      const events = await wolf.events();
      double.emitEvent("wolf::core::events::PairSignal", {});
      for await (const { name } of events) {
        assert.equal(name, "PairSignal");
        break;
      }
      await within(double.whenIdle(), "the end of the event stream");
    });

    test("reports that an event stream was lost", async () => {
      const events = await wolf.events();
      if (reached.system === undefined) {
        // Wolf's own end, by FIN.
        await double.close();
        assert.equal(await events.next(), undefined);
        await assert.rejects(wolf.apps.list(), code("target_refused"));
        return;
      }
      const lost = assert.rejects(events.next(), { name: "TurnaboutError" });
      reached.system.controlPlane.kick(RUNNER);
      await lost;
      assert.equal((await wolf.apps.list()).length, 2, "the agent is back, and so is Wolf");
    });
  });
}

async function nextEvent(events: WolfEventStream): Promise<WolfEvent> {
  const event = await within(events.next(), "an event");
  assert.ok(event);
  return event;
}
