/** The fork's HTTP routes over a real socket. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { firstPixel } from "../../png-pixel.ts";
import { DEMO_COLOUR } from "../../png.ts";
import { openSocket, rawExchange, readUntil } from "../../raw-exchange.ts";
import { createMoonlightDouble } from "../double.ts";
import type { MoonlightDouble } from "../double.ts";

/** Longer than any test: a pairing that ends was ended by the test. */
const NEVER_MS = 3_600_000;

const JSON_FIELDS = {
  authorization: "Bearer helix",
  connection: "close",
  "content-type": "application/json",
};

const PAIR_HEAD = [
  "POST /api/pair HTTP/1.1",
  "Host: m",
  "Authorization: Bearer helix",
  "Content-Type: application/json",
  "Content-Length: 13",
  "\r\n",
].join("\r\n");

let moonlight: MoonlightDouble;

beforeEach(async () => {
  moonlight = await createMoonlightDouble({ credentials: "helix", pairDelayMs: NEVER_MS });
});

afterEach(async () => {
  await moonlight.close();
  assert.equal(moonlight.openConnections, 0);
});

function call(method: string, path: string, body?: object): Promise<Response> {
  return fetch(moonlight.url + path, {
    method,
    headers: {
      authorization: "Bearer helix",
      connection: "close",
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function json(method: string, path: string, body?: object): Promise<unknown> {
  const response = await call(method, path, body);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  return response.json();
}

async function statusWith(authorization: string): Promise<string> {
  const request = `GET /api/authenticate HTTP/1.1\r\nHost: m\r\nConnection: close\r\n${authorization}\r\n`;
  const { statusLine } = await rawExchange({ port: moonlight.port, host: moonlight.host }, request);
  return statusLine.split(" ")[1] ?? "";
}

test("requires the bearer secret before there is a route", async () => {
  assert.equal(await statusWith("Authorization: Bearer helix\r\n"), "200");
  assert.equal(await statusWith("Authorization: Bearer other\r\n"), "401");
  assert.equal(await statusWith("Authorization: Basic helix\r\n"), "401");
  assert.equal(await statusWith(""), "401");
  assert.equal(await statusWith("Authorization: helix\r\n"), "400");
  const stranger = await fetch(`${moonlight.url}/api/unknown`, { headers: { connection: "close" } });
  assert.deepEqual([stranger.status, await stranger.text()], [401, ""]);
  assert.equal((await call("GET", "/api/unknown")).status, 404);
});

test("knows each route by its method alone, and the stream by its handshake", async () => {
  for (const [method, path] of [
    ["HEAD", "/api/hosts"],
    ["POST", "/api/hosts"],
    ["HEAD", "/api/host/stream"],
    ["GET", "/api/ws/stream"],
  ] as const) {
    assert.equal((await call(method, path)).status, 404, `${method} ${path}`);
  }
  const bare = await fetch(`${moonlight.url}/api/host/stream`, { headers: { connection: "close" } });
  assert.deepEqual([bare.status, await bare.text()], [400, ""], "without a secret");
});

test("serves the page's files without the secret, as files", async () => {
  const get = (path: string, headers: object = {}): Promise<Response> =>
    fetch(moonlight.url + path, { headers: { connection: "close", ...headers } });
  const config = await get("/config.js");
  assert.equal(
    await config.text(),
    'export default {"enable_credential_authentication":true,"path_prefix":""}',
  );
  assert.deepEqual(
    [config.headers.get("content-type"), config.headers.get("etag")],
    ["text/javascript", null],
  );
  const page = await get("/");
  assert.match(await page.text(), /<title>Moonlight Web/);
  const etag = page.headers.get("etag") ?? "";
  assert.match(etag, /^"[0-9a-f]+:[0-9a-f]+:[0-9a-f]+"$/);
  assert.match(page.headers.get("last-modified") ?? "", /GMT$/);
  assert.equal(page.headers.get("content-disposition"), 'inline; filename="index.html"');
  assert.equal(page.headers.get("cache-control"), null);
  assert.equal((await get("/index.html", { "if-none-match": etag })).status, 304);
  const part = await get("/index.html", { range: "bytes=0-8" });
  assert.deepEqual([part.status, await part.text()], [206, "<!doctype"]);
  for (const [path, status] of [
    ["/none.js", 404],
    ["/component", 404],
    ["/component/", 404],
    ["/.git", 400],
    ["/%2e%2e/%2e%2e/fork.ts", 404],
  ] as const) {
    assert.equal((await get(path)).status, status, path);
  }
  const post = await fetch(`${moonlight.url}/index.html`, {
    method: "POST",
    headers: { connection: "close" },
  });
  assert.equal(post.status, 405);
});

test("lists, shows, adds and deletes hosts", async () => {
  const { hosts } = (await json("GET", "/api/hosts")) as { hosts: object[] };
  assert.deepEqual(hosts[0], { host_id: 0, name: "wolf", paired: "Paired", server_state: "Free" });
  const added = (await json("PUT", "/api/host", { address: "10.0.0.7", http_port: 1234 })) as {
    host: { host_id: number; http_port: number; paired: string };
  };
  assert.equal(added.host.http_port, 1234);
  assert.equal(added.host.paired, "NotPaired");
  const path = `/api/host?host_id=${added.host.host_id}`;
  assert.deepEqual(await json("GET", path), added);
  assert.equal((await call("DELETE", path)).status, 200);
  assert.equal((await call("GET", path)).status, 404);
  const bad = await call("GET", "/api/host");
  assert.equal(bad.status, 400);
  assert.equal(await bad.text(), "Query deserialize error: missing field `host_id`");
});

test("sends the PIN at once, and the pairing only when it is done", async () => {
  const socket = await openSocket({ port: moonlight.port, host: moonlight.host });
  const pin = readUntil(socket, '{"Pin":"1234"}\r\n');
  const body = '{"host_id":1}';
  socket.write(`${PAIR_HEAD}${body}`);
  const first = await pin;
  assert.match(first, /content-type: application\/x-ndjson\r\n/i);
  assert.match(first, /transfer-encoding: chunked\r\n/i);
  assert.doesNotMatch(first, /Paired/);
  const paired = readUntil(socket, "\r\n0\r\n\r\n");
  assert.equal(moonlight.finishPairings("paired"), 1);
  assert.match(await paired, /\r\n\n\{"Paired":\{"host_id":1,.*\}\}\r\n0\r\n/);
  socket.destroy();
  assert.equal((await call("POST", "/api/pair", { host_id: 1 })).status, 304);
  assert.equal((await call("POST", "/api/pair", { host_id: 99 })).status, 404);
});

test("reports a failed pairing, and stays unpaired", async () => {
  const response = await call("POST", "/api/pair", { host_id: 1 });
  moonlight.finishPairings("failed");
  assert.equal(await response.text(), '{"Pin":"1234"}\n"PairError"');
  assert.equal(moonlight.state.hosts[1]?.paired, "NotPaired");
});

test("drops a pairing whose caller has disconnected", async () => {
  const socket = await openSocket({ port: moonlight.port, host: moonlight.host });
  const pin = readUntil(socket, '{"Pin":"1234"}\r\n');
  socket.write(`${PAIR_HEAD}{"host_id":1}`);
  await pin;
  socket.destroy();
  await moonlight.whenIdle();
  assert.equal(moonlight.finishPairings("paired"), 0);
});

test("pairs by itself after the delay", async () => {
  await using quick = await createMoonlightDouble({ credentials: "helix", pairDelayMs: 5 });
  const response = await fetch(`${quick.url}/api/pair`, {
    method: "POST",
    headers: JSON_FIELDS,
    body: '{"host_id":1}',
  });
  assert.match(await response.text(), /\n\{"Paired":/);
});

test("lists apps and sends their picture", async () => {
  const { apps } = (await json("GET", "/api/apps?host_id=0&force_refresh=true")) as {
    apps: { app_id: number }[];
  };
  const image = await call("GET", `/api/app/image?host_id=0&app_id=${apps[0]?.app_id}`);
  assert.equal(image.headers.get("content-type"), "application/octet-stream");
  assert.deepEqual(firstPixel(Buffer.from(await image.arrayBuffer())), DEMO_COLOUR);
  assert.equal((await call("GET", "/api/app/image?host_id=0&app_id=1")).status, 404);
});

test("lists its sessions, and responds to wake and cancel", async () => {
  assert.deepEqual(await json("GET", "/api/sessions"), { sessions: [] });
  assert.deepEqual(await json("GET", "/api/admin/status"), {
    total_clients: 0,
    total_sessions: 0,
    active_websockets: 0,
    clients: [],
    sessions: [],
  });
  assert.equal((await call("POST", "/api/host/wake", { host_id: 0 })).status, 200);
  assert.deepEqual(await json("POST", "/api/host/cancel", { host_id: 0 }), { success: true });
});

test("refuses bodies that it cannot read with 400 and a text", async () => {
  for (const [type, body, text] of [
    ["application/json", "{", /^Json deserialize error: /],
    ["application/json", "{}", /^Json deserialize error: missing field `host_id`$/],
    ["text/plain", '{"host_id":1}', /^Content type error$/],
  ] as const) {
    const headers = { ...JSON_FIELDS, "content-type": type };
    const bad = await fetch(`${moonlight.url}/api/pair`, { method: "POST", headers, body });
    assert.equal(bad.status, 400);
    assert.match(bad.headers.get("content-type") ?? "", /^text\/plain/);
    assert.match(await bad.text(), text);
  }
  assert.deepEqual(
    moonlight.requests.map(({ method, url }) => `${method} ${url}`),
    ["POST /api/pair", "POST /api/pair", "POST /api/pair"],
  );
});
