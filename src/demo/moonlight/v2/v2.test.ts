/** The double of upstream's v2.10: who a request is from, what a user may, and its signalling. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import type { RawData } from "ws";
import { EventLog } from "../../../../test/support/event-log.ts";
import { createMoonlightDouble } from "../double.ts";
import type { MoonlightDouble } from "../double.ts";

const ADMIN = "ab".repeat(32);
const FIELD = "X-Forwarded-User";

let moonlight: MoonlightDouble;

beforeEach(async () => {
  moonlight = await createMoonlightDouble({ dialect: "v2", credentials: ADMIN, usernameField: FIELD });
});

afterEach(() => moonlight.close());

function call(path: string, headers: Record<string, string> = {}, init: RequestInit = {}): Promise<Response> {
  return fetch(`${moonlight.url}/api${path}`, { headers: { connection: "close", ...headers }, ...init });
}

function asUser(name: string): Record<string, string> {
  return { [FIELD]: name };
}

test("knows its caller by a proxy's field, then a token of 64 digits, then the cookie", async () => {
  for (const [headers, status] of [
    [{}, 401],
    [{ authorization: "Bearer helix" }, 400],
    [{ authorization: "Basic x" }, 400],
    [{ authorization: `Bearer ${"cd".repeat(32)}` }, 401],
    [{ authorization: `Bearer ${ADMIN}` }, 200],
    [{ authorization: "Bearer helix", ...asUser("alice") }, 200],
  ] as const) {
    const response = await call("/authenticate", headers);
    assert.equal(response.status, status, JSON.stringify(headers));
    assert.match(response.headers.get("cache-control") ?? "", /no-store/);
  }
  const body = JSON.stringify({ name: "bob", password: "x" });
  const login = await call("/login", { "content-type": "application/json" }, { method: "POST", body });
  const cookie = login.headers.get("set-cookie") ?? "";
  assert.match(cookie, /^mlSession=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=; Expires=/);
  const own = await call("/user", { cookie: cookie.split(";", 1)[0] ?? "" });
  assert.deepEqual(await own.json(), { id: 3, name: "bob", role_id: 2, is_default_user: false });
  const stranger = await call("/user", { cookie: "mlSession=old" });
  assert.equal(stranger.status, 401);
  assert.match(stranger.headers.get("set-cookie") ?? "", /Max-Age=0/);
});

test("gives a user the own account and role, and administration to administrators alone", async () => {
  const role = (await (await call("/role", asUser("alice"))).json()) as { role: { name: string } };
  assert.equal(role.role.name, "User");
  for (const path of ["/users", "/roles", "/user?user_id=1"]) {
    assert.equal((await call(path, asUser("alice"))).status, 403, path);
    assert.equal((await call(path, { authorization: `Bearer ${ADMIN}` })).status, 200, path);
  }
  assert.equal((await call("/sessions", asUser("alice"))).status, 404, "the fork's");
});

test("lists hosts line by line", async () => {
  const lines = (await (await call("/hosts", asUser("alice"))).text()).trim().split("\n");
  assert.equal((JSON.parse(lines[0] ?? "") as { hosts: unknown[] }).hosts.length, 2);
  assert.deepEqual(JSON.parse(lines[1] ?? ""), {
    host_id: 0,
    name: "wolf",
    paired: "Paired",
    server_state: "Free",
    owner: "Global",
  });
});

test("pairs with a line feed behind each value", async () => {
  const headers = { ...asUser("alice"), "content-type": "application/json" };
  const response = await call("/pair", headers, { method: "POST", body: '{"host_id":1}' });
  moonlight.finishPairings("failed");
  assert.equal(await response.text(), '{"Pin":"1234"}\n"PairError"\n');
});

test("refuses a handshake without a user, and streams to one", async () => {
  const url = `${moonlight.url.replace("http", "ws")}/api/host/stream`;
  const refused = new WebSocket(url, { headers: { authorization: "Bearer helix" } });
  refused.on("error", () => {});
  const [, response] = (await once(refused, "unexpected-response")) as [unknown, { statusCode: number }];
  assert.equal(response.statusCode, 400);
  refused.terminate();

  const { socket, messages } = await open(url);
  socket.ping("ignored");
  await messages.find((message) => tagOf(message) === "Setup", "Setup");
  send(socket, { SetTransport: "WebRTC" });
  send(socket, { StartStream: { settings: { width: 1, height: 2, fps: 3 } } });
  send(socket, { WebRtc: { Description: { ty: "offer", sdp: "v=0" } } });
  await messages.findNth(3, (message) => tagOf(message) === "WebRtc", "the media's offer");
  assert.deepEqual(messages.all.map(tagOf), [
    "UpdateApp",
    "DebugLog",
    "Setup",
    "WebRtc",
    "WebRtc",
    "ConnectionComplete",
    "WebRtc",
  ]);
  const closed = once(socket, "close");
  socket.close();
  await closed;
  await moonlight.whenIdle();
  assert.equal(moonlight.state.streams.size, 0);
});

test("sends media over the same socket, where that is the transport", async () => {
  const { socket, messages } = await open(`${moonlight.url.replace("http", "ws")}/api/host/stream`);
  send(socket, { SetTransport: "WebSocket" });
  send(socket, { StartStream: { settings: {} } });
  socket.send(Buffer.of(26, 7));
  await messages.findNth(3, (message) => Buffer.isBuffer(message), "binary messages");
  assert.deepEqual(
    messages.all.filter((message) => Buffer.isBuffer(message)),
    [Buffer.of(2, 0, 0), Buffer.of(3, 0, 0), Buffer.of(26, 7)],
  );
  socket.terminate();
});

async function open(url: string): Promise<{ socket: WebSocket; messages: EventLog<unknown> }> {
  const socket = new WebSocket(url, { headers: asUser("alice") });
  const messages = new EventLog<unknown>();
  socket.on("error", () => {});
  socket.on("message", (data: RawData, isBinary) => {
    messages.push(isBinary ? data : JSON.parse((data as Buffer).toString("utf8")));
  });
  await once(socket, "open");
  send(socket, {
    Init: { host_id: 0, app_id: 134_906_179, video_frame_queue_size: 3, audio_sample_queue_size: 3 },
  });
  return { socket, messages };
}

function send(socket: WebSocket, message: object): void {
  socket.send(JSON.stringify(message));
}

function tagOf(message: unknown): string {
  return Object.keys(message as object)[0] ?? "";
}
