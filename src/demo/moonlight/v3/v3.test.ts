/** The double of upstream's v3: a stream over HTTP is its owner's, and media over a WebSocket begin with a request. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import type { RawData } from "ws";
import { EventLog } from "../../../../test/support/event-log.ts";
import { createMoonlightDouble } from "../double.ts";
import type { MoonlightDouble } from "../double.ts";

const PATH = "/api/host/stream/webrtc";
const SDP = { "content-type": "application/sdp" };

let moonlight: MoonlightDouble;

beforeEach(async () => {
  moonlight = await createMoonlightDouble({ dialect: "v3", credentials: "", usernameField: "X-User" });
});

afterEach(() => moonlight.close());

function call(
  method: string,
  path: string,
  { user = "alice", body, ...headers }: Record<string, string> = {},
): Promise<Response> {
  return fetch(moonlight.url + path, {
    method,
    headers: { connection: "close", "x-user": user, ...headers },
    ...(body !== undefined && { body }),
  });
}

test("has its configuration as a classic script", async () => {
  const config = await call("GET", "/config.js");
  assert.equal(await config.text(), 'window.__CONFIG_JS__ = {"path_prefix":""}');
});

test("answers an offer with the place of a stream, which is its owner's", async () => {
  assert.equal((await call("GET", PATH)).status, 405);
  assert.equal((await call("POST", PATH, { body: "v=0", user: "" })).status, 401);
  const options = await call("OPTIONS", PATH);
  assert.deepEqual([options.status, options.headers.get("accept-post")], [200, "application/sdp"]);
  assert.equal((await call("POST", PATH, { body: "v=0" })).status, 415);

  const created = await call("POST", PATH, { ...SDP, body: "v=0\r\na=setup:actpass\r\n" });
  assert.equal(created.status, 201);
  assert.equal(await created.text(), "v=0\r\na=setup:active\r\n");
  const location = created.headers.get("location") ?? "";
  assert.match(location, /^\/api\/host\/stream\/webrtc\/\d+$/);

  const fragment = {
    "content-type": "application/trickle-ice-sdpfrag",
    body: "a=candidate:1 1 udp 1 ::1 9\r\n",
  };
  assert.equal((await call("PATCH", location, { ...fragment, user: "bob" })).status, 403);
  assert.equal((await call("PATCH", location, { ...SDP, body: "x" })).status, 415);
  assert.equal((await call("PATCH", location, { ...fragment, "if-match": "*" })).status, 422);
  assert.equal((await call("PATCH", location, fragment)).status, 204);
  assert.equal((await call("DELETE", location, { user: "bob" })).status, 403);
  assert.equal((await call("DELETE", location)).status, 200);
  assert.equal((await call("DELETE", location)).status, 404);
});

test("sends media over a WebSocket once it is requested, and ends at any other first message", async () => {
  const url = `${moonlight.url.replace("http", "ws")}/api/host/stream/web_socket`;
  const open = async (first: object): Promise<{ socket: WebSocket; messages: EventLog<unknown> }> => {
    const socket = new WebSocket(url, { headers: { "x-user": "alice" } });
    const messages = new EventLog<unknown>();
    socket.on("error", () => {});
    socket.on("message", (data: RawData, isBinary) => {
      messages.push(isBinary ? data : JSON.parse((data as Buffer).toString("utf8")));
    });
    await once(socket, "open");
    socket.send(JSON.stringify(first));
    return { socket, messages };
  };
  const { socket, messages } = await open({ Request: { host_id: 0, app_id: 134_906_179 } });
  socket.send(JSON.stringify({ Stats: { Ping: 3 } }));
  await messages.findNth(4, () => true, "the statistics");
  assert.deepEqual(messages.all, [
    { Response: { video_codec: "H264", app_name: "Wolf UI" } },
    Buffer.of(1, 1, 0, 0, 0, 0),
    Buffer.of(2, 0),
    { Stats: { Pong: 3 } },
  ]);
  socket.terminate();
  const other = await open({ Init: {} });
  const [code] = (await once(other.socket, "close")) as [number];
  assert.equal(code, 1006);
});
