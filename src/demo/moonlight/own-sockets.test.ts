/** The double's own WebSockets: an echo, and a refusal. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import { createMoonlightDouble } from "./double.ts";
import type { MoonlightDouble } from "./double.ts";

let moonlight: MoonlightDouble;

beforeEach(async () => {
  moonlight = await createMoonlightDouble({ credentials: "helix" });
});

afterEach(async () => {
  await moonlight.close();
  assert.equal(moonlight.openConnections, 0);
  assert.equal(moonlight.openWebSockets, 0);
});

async function open(path: string, protocols: string[] = [], options: ClientOptions = {}): Promise<WebSocket> {
  const socket = new WebSocket(moonlight.url.replace("http", "ws") + path, protocols, options);
  await once(socket, "open");
  return socket;
}

test("echoes text and binary, responds to pings and records them", async () => {
  const socket = await open("/api/ws/echo?a=1", ["one", "two"]);
  assert.equal(socket.protocol, "one");
  assert.match(socket.extensions, /permessage-deflate/);
  const big = Buffer.alloc(16 * 1024 * 1024, 7);
  for (const [message, isBinary] of [
    ["text", false],
    [big, true],
    ["", false],
  ] as const) {
    socket.send(message);
    const [data, binary] = (await once(socket, "message")) as [Buffer, boolean];
    assert.equal(binary, isBinary);
    assert.ok(data.equals(Buffer.from(message)));
  }
  socket.ping("are you there");
  const [pong] = (await once(socket, "pong")) as [Buffer];
  assert.equal(String(pong), "are you there");
  assert.deepEqual(
    moonlight.controlFrames.map(({ path, kind, payload }) => [path, kind, String(payload)]),
    [["/api/ws/echo?a=1", "ping", "are you there"]],
  );
  socket.send("close:4000:enough of this");
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  assert.equal(code, 4_000);
  assert.equal(String(reason), "enough of this");
});

test("echoes a close command that does not fit into a frame", async () => {
  const socket = await open("/api/ws/echo", [], { perMessageDeflate: false });
  assert.equal(socket.extensions, "");
  for (const order of ["close:1005:x", `close:4000:${"x".repeat(124)}`]) {
    socket.send(order);
    const [data] = (await once(socket, "message")) as [Buffer];
    assert.equal(String(data), order);
  }
  socket.terminate();
});

test("ends an echo that is larger than 16 MiB", async () => {
  const socket = await open("/api/ws/echo", [], { perMessageDeflate: false });
  socket.on("error", () => {});
  socket.send(Buffer.alloc(16 * 1024 * 1024 + 1));
  const [code] = (await once(socket, "close")) as [number];
  assert.equal(code, 1_009);
});

test("refuses a handshake with the requested status", async () => {
  for (const [path, expected] of [
    ["/api/ws/refuse?status=418", 418],
    ["/api/ws/refuse", 404],
    ["/api/nowhere", 404],
    ["//", 404],
  ] as const) {
    const socket = new WebSocket(moonlight.url.replace("http", "ws") + path);
    socket.on("error", () => {});
    const [, response] = (await once(socket, "unexpected-response")) as [
      unknown,
      import("node:http").IncomingMessage,
    ];
    assert.equal(response.statusCode, expected);
    assert.equal(response.headers["content-type"], "application/json");
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.deepEqual(JSON.parse(String(Buffer.concat(chunks))), {
      error: "refused by the double",
      status: expected,
    });
  }
});
