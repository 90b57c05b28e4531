/** Wolf's endpoints, over its socket: state that stays, ids that are strings, Wolf's error texts. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { firstPixel } from "../png-pixel.ts";
import { DEMO_COLOUR } from "../png.ts";
import { openSocket, rawExchange, readUntil } from "../raw-exchange.ts";
import { createWolfDouble } from "./double.ts";
import type { WolfDouble } from "./double.ts";
import type { JsonObject } from "./fields.ts";

interface HttpResponse {
  status: number;
  body: JsonObject;
}

let folder = "";
let wolf: WolfDouble;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "turnabout-wolf-"));
});

after(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  wolf = await createWolfDouble({ socketPath: join(folder, "wolf.sock") });
});

afterEach(async () => {
  await wolf.close();
  assert.equal(wolf.openConnections, 0);
});

async function ask(method: "GET" | "POST", path: string, body?: object): Promise<HttpResponse> {
  const bytes = body === undefined ? "" : JSON.stringify(body);
  const head = `${method} /api/v1${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(bytes)}`;
  const response = await rawExchange({ path: wolf.socketPath }, `${head}\r\n\r\n${bytes}`);
  const status = Number(response.statusLine.split(" ")[1]);
  return { status, body: JSON.parse(String(response.body)) as JsonObject };
}

async function list(path: string, name: string): Promise<JsonObject[]> {
  const { status, body } = await ask("GET", path);
  assert.equal(status, 200);
  assert.equal(body["success"], true);
  return body[name] as JsonObject[];
}

async function ok(path: string, body: object): Promise<JsonObject> {
  const response = await ask("POST", path, body);
  assert.equal(response.status, 200, JSON.stringify(response.body));
  assert.equal(response.body["success"], true);
  return response.body;
}

async function fails(path: string, body: object, status: number, error: string): Promise<void> {
  assert.deepEqual(await ask("POST", path, body), { status, body: { success: false, error } });
}

const newLobby = {
  profile_id: "helix-sessions",
  name: "Agent ses_01",
  multi_user: true,
  stop_when_everyone_leaves: false,
  pin: [1, 2, 3, 4],
  video_settings: { width: 1920, height: 1080, refresh_rate: 60 },
  audio_settings: { channel_count: 2 },
  runner_state_folder: "agent-ses_01",
  runner: { type: "docker", name: "sway", image: "helix-sway:latest" },
};

test("apps can be added, found and deleted", async () => {
  const before = await list("/apps", "apps");
  assert.ok(before.length >= 2);
  await ok("/apps/add", { id: "42", title: "Mine", runner: { type: "process", run_cmd: "true" } });
  const added = (await list("/apps", "apps")).find((app) => app["id"] === "42");
  assert.equal(added?.["title"], "Mine");
  await ok("/apps/delete", { id: "42" });
  assert.equal((await list("/apps", "apps")).length, before.length);
  await fails("/apps/add", { id: "43", title: "No runner" }, 500, "Field named 'runner' not found.");
});

test("profiles can be added and removed", async () => {
  await ok("/profiles/add", { id: "p2", name: "Two" });
  assert.equal((await list("/profiles", "profiles")).length, 2);
  await ok("/profiles/remove", { id: "p2" });
  assert.equal((await list("/profiles", "profiles")).length, 1);
});

test("a pending pairing takes its secret once and makes a client", async () => {
  const [pending] = await list("/pair/pending", "requests");
  const pair = { pair_secret: pending?.["pair_secret"], pin: "1234" };
  await ok("/pair/client", pair);
  await fails("/pair/client", pair, 500, "Invalid pair secret");
  assert.deepEqual(await list("/pair/pending", "requests"), []);
  assert.equal((await list("/clients", "clients")).length, 2);
});

test("clients keep their settings until they are unpaired; invalid ones are 400, unknown ones 404", async () => {
  const [client] = await list("/clients", "clients");
  const client_id = client?.["client_id"];
  await ok("/clients/settings", {
    client_id,
    app_state_folder: "moved",
    settings: { mouse_acceleration: 2 },
  });
  const [changed] = await list("/clients", "clients");
  assert.equal(changed?.["app_state_folder"], "moved");
  const settings = changed?.["settings"] as JsonObject | undefined;
  assert.equal(settings?.["mouse_acceleration"], 2);
  assert.equal(settings["run_uid"], 1000);
  await ok("/unpair/client", { client_id });
  await fails("/unpair/client", { client_id }, 404, "Client not found");
  await fails("/clients/settings", { client_id }, 404, "Client not found");
  await fails("/unpair/client", { client_id: 7 }, 400, "Invalid request format");
});

test("session ids are decimal strings that no double can hold", async () => {
  const { session_id } = await ok("/sessions/add", { app_id: "134906179", client_ip: "10.0.0.9" });
  assert.equal(typeof session_id, "string");
  const id = String(session_id);
  assert.ok(BigInt(id) > 2n ** 53n && BigInt(id) < 2n ** 64n);
  assert.notEqual(String(Number(id)), id);
  const added = (await list("/sessions", "sessions")).find((session) => session["client_id"] === id);
  assert.equal(added?.["client_ip"], "10.0.0.9");
});

test("sessions show their AES keys, and can be started, paused, fed and stopped", async () => {
  const [session] = await list("/sessions", "sessions");
  assert.match(String(session?.["aes_key"]), /^[0-9a-f]{32}$/);
  const session_id = session?.["client_id"];
  await ok("/sessions/start", { session_id, video_session: {}, audio_session: {} });
  await ok("/sessions/pause", { session_id });
  await ok("/sessions/input", { session_id, input_packet_hex: "00" });
  await ok("/sessions/stop", { session_id });
  await fails("/sessions/stop", { session_id }, 500, "Invalid session_id");
  assert.deepEqual(await list("/sessions", "sessions"), []);
  await fails("/sessions/add", { app_id: "unknown" }, 500, "Invalid app_id");
});

test("configures the lobby of a client's session", async () => {
  await ok("/sessions/configure", { client_unique_id: "demo", immediate_lobby_id: "lobby-1" });
  const [session] = await list("/sessions", "sessions");
  assert.equal(session?.["immediate_lobby_id"], "lobby-1");
});

test("a lobby's PIN is never listed, and required for join and stop", async () => {
  const { lobby_id } = await ok("/lobbies/create", newLobby);
  const [lobby] = await list("/lobbies", "lobbies");
  assert.equal(lobby?.["id"], lobby_id);
  assert.equal(lobby?.["pin_required"], true);
  assert.equal("pin" in (lobby ?? {}), false);
  const moonlight_session_id = wolf.state.sessions[0]?.client_id;
  const join = { lobby_id, moonlight_session_id };
  await fails("/lobbies/join", join, 500, "Invalid PIN");
  await fails("/lobbies/join", { ...join, pin: [1, 2, 3, 5] }, 500, "Invalid PIN");
  await ok("/lobbies/join", { ...join, pin: [1, 2, 3, 4] });
  assert.deepEqual((await list("/lobbies", "lobbies"))[0]?.["connected_sessions"], [moonlight_session_id]);
  await fails("/lobbies/stop", { lobby_id }, 500, "Invalid PIN");
  await ok("/lobbies/stop", { lobby_id, pin: [1, 2, 3, 4] });
  assert.deepEqual(await list("/lobbies", "lobbies"), []);
  await fails("/lobbies/stop", { lobby_id }, 500, "Invalid lobby ID");
});

test("a lobby without a PIN stops when everyone leaves, if it was created so", async () => {
  const { pin: _pin, ...open } = newLobby;
  const { lobby_id } = await ok("/lobbies/create", { ...open, stop_when_everyone_leaves: true });
  const moonlight_session_id = wolf.state.sessions[0]?.client_id;
  assert.equal((await list("/lobbies", "lobbies"))[0]?.["pin_required"], false);
  await ok("/lobbies/join", { lobby_id, moonlight_session_id });
  await ok("/lobbies/set-pipewire-node-id", { lobby_id, node_id: 7 });
  await ok("/lobbies/pause", { lobby_id });
  await ok("/lobbies/resume", { lobby_id });
  await ok("/lobbies/leave", { lobby_id, moonlight_session_id });
  assert.deepEqual(await list("/lobbies", "lobbies"), []);
});

test("a lobby needs the fields that Wolf requires", async () => {
  const { runner_state_folder: _folder, ...short } = newLobby;
  await fails("/lobbies/create", short, 500, "Field named 'runner_state_folder' not found.");
});

test("changes are sent to the event streams", async () => {
  const events = await openSocket({ path: wolf.socketPath });
  const opened = readUntil(events, "\r\n\r\n");
  events.write("GET /api/v1/events HTTP/1.1\r\n\r\n");
  await opened;
  const created = readUntil(events, "event: wolf::core::events::CreateLobbyEvent\n");
  await ok("/lobbies/create", newLobby);
  assert.match(await created, /data: \{"id":"/);
  events.destroy();
  await wolf.whenIdle();
});

test("memory and health describe the state", async () => {
  await ok("/lobbies/create", newLobby);
  const { body: memory } = await ask("GET", "/system/memory");
  assert.ok(Number(memory["process_rss_bytes"]) > 1_000_000);
  assert.equal((memory["lobbies"] as unknown[]).length, 1);
  assert.equal((memory["gpu_stats"] as JsonObject)["available"], true);
  const { body: health } = await ask("GET", "/system/health");
  assert.equal(health["overall_status"], "healthy");
  assert.equal(health["total_thread_count"], (health["threads"] as unknown[]).length);
});

test("a keyboard reset releases the keys that hang", async () => {
  const [keyboard] = await list("/keyboard/state", "sessions");
  assert.deepEqual(keyboard?.["pressed_keys"], [16]);
  const modifier_state = { shift: true, ctrl: false, alt: false, meta: false };
  const layer = { pressed_keys: [16], pressed_key_names: ["KEY_LEFTSHIFT"], modifier_state };
  assert.deepEqual([keyboard["wolf_state"], keyboard["inputtino_state"]], [layer, layer]);
  assert.deepEqual(keyboard["evdev_state"], { ...layer, pressed_keys: [42] });
  const { released_keys } = await ok("/keyboard/reset", { session_id: keyboard?.["session_id"] });
  assert.deepEqual(released_keys, ["KEY_LEFTSHIFT"]);
  assert.deepEqual((await list("/keyboard/state", "sessions"))[0]?.["pressed_keys"], []);
});

test("icons are pictures, requested by an undecoded path", async () => {
  const icon = (query: string): Promise<Buffer> =>
    rawExchange({ path: wolf.socketPath }, `GET /api/v1/utils/get-icon?${query} HTTP/1.1\r\n\r\n`).then(
      ({ statusLine, headers, body }) =>
        headers.get("content-type") === "image/png" ? body : Buffer.from(statusLine),
    );
  assert.deepEqual(firstPixel(await icon("icon_path=WolfUI.png")), DEMO_COLOUR);
  assert.equal(String(await icon("icon_path=none.png")), "HTTP/1.0 404 OK");
  assert.equal(String(await icon("path=WolfUI.png")), "HTTP/1.0 400 OK");
});

test("a pull that fails is a 500, and an image that is not there a 404", async () => {
  await fails("/docker/images/pull", { image_name: "missing:latest" }, 500, "Failed to pull image");
  assert.equal((await ask("GET", "/docker/images/inspect?image_name=missing:latest")).status, 404);
  const { body } = await ask("GET", "/docker/images/inspect?image_name=helix-sway:latest");
  assert.deepEqual(body["RepoTags"], ["helix-sway:latest"]);
});

test("the schema lists every endpoint and none of the double's own", async () => {
  const { body } = await ask("GET", "/openapi-schema");
  const paths = Object.keys(body["paths"] as object);
  for (const path of [
    "/events",
    "/sessions/configure",
    "/lobbies/create",
    "/openapi-schema",
    "/runners/start",
  ]) {
    assert.ok(paths.includes(`/api/v1${path}`), path);
  }
  assert.equal(
    paths.some((path) => path.startsWith("/double")),
    false,
  );
  assert.equal(paths.length, 36);
});
