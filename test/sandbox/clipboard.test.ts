/** The clipboard of a real desktop, both ways and by push. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import type { LivenessOptions } from "../../agents/sandbox/server/http/websocket.ts";
import { within } from "../support/events.ts";
import { skipWithoutDesktop, startDesktop, until } from "./desktop.ts";
import type { Desktop } from "./desktop.ts";
import { startServer } from "./server.ts";
import type { TestServer } from "./server.ts";

const skip = skipWithoutDesktop;

async function start(
  liveness: LivenessOptions = {},
): Promise<AsyncDisposable & { desktop: Desktop; server: TestServer }> {
  const desktop = await startDesktop();
  const server = await startServer({ runtimeFolder: desktop.runtimeFolder, liveness });
  const close = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    await desktop[Symbol.asyncDispose]();
  };
  return { desktop, server, [Symbol.asyncDispose]: close };
}

const EMPTY = { type: "text", data: "" };

async function get(server: TestServer): Promise<unknown> {
  const response = await server.request("/clipboard");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  return response.json();
}

async function set(server: TestServer, type: string, data: string): Promise<void> {
  const response = await server.post("/clipboard", { type, data });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
}

test("an empty clipboard is an empty text", { skip }, async () => {
  await using all = await start();
  assert.deepEqual(await get(all.server), EMPTY);
  const head = await all.server.request("/clipboard", { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-type")], [200, "application/json"]);
});

test("text comes back as it went in, and is in both selections", { skip }, async () => {
  await using all = await start();
  const { server, desktop } = all;
  for (const text of ["hällo €\n", "<html>no page</html>", "-n", "a\0b"]) {
    await set(server, "text", text);
    assert.deepEqual(await get(server), { type: "text", data: text });
    assert.equal((await desktop.run("wl-paste", ["-n"])).toString("utf8"), text);
    assert.equal((await desktop.run("wl-paste", ["-n", "-p"])).toString("utf8"), text);
  }
  // Text that begins like a picture or a page is still text.
  assert.match((await desktop.run("wl-paste", ["-l"])).toString("utf8"), /^text\/plain$/m);
  await set(server, "text", "");
  assert.deepEqual(await get(server), EMPTY);
});

test("what is no image is text, and what is left out is empty", { skip }, async () => {
  await using all = await start();
  const { server } = all;
  const bodies: readonly (readonly [string, string])[] = [
    ['{"data":"no type"}', "no type"],
    ['{"type":"sound","data":"unknown"}', "unknown"],
    ['{"type":null,"data":"null","more":1}', "null"],
    ['{"type":"text"}', ""],
  ];
  for (const [body, data] of bodies) {
    assert.equal((await server.post("/clipboard", body)).status, 200, body);
    assert.deepEqual(await get(server), { type: "text", data }, body);
  }
});

test("what a program on the desktop copies is seen, CLIPBOARD before PRIMARY", { skip }, async () => {
  await using all = await start();
  const { server, desktop } = all;
  await desktop.run("wl-copy", ["--primary", "--type", "text/plain"], Buffer.from("marked"));
  assert.deepEqual(await get(server), { type: "text", data: "marked" });
  await desktop.run("wl-copy", ["--type", "text/plain"], Buffer.from("copied\n"));
  assert.deepEqual(await get(server), { type: "text", data: "copied\n" });
  const jpeg = await sharp({ create: { width: 4, height: 2, channels: 3, background: "#102030" } })
    .jpeg()
    .toBuffer();
  await desktop.run("wl-copy", ["--type", "image/jpeg"], jpeg);
  const { type, data } = (await get(server)) as { type: string; data: string };
  assert.equal(type, "image");
  const { format, width } = await sharp(Buffer.from(data, "base64")).metadata();
  assert.deepEqual({ format, width }, { format: "png", width: 4 });
});

test("a PNG picture and 5 MB come back byte for byte", { skip }, async () => {
  await using all = await start();
  const { server, desktop } = all;
  const noise = { width: 1400, height: 1200, channels: 3 as const };
  const png = await sharp(randomBytes(noise.width * noise.height * 3), { raw: noise })
    .png()
    .toBuffer();
  assert.ok(png.length > 5_000_000);
  await set(server, "image", png.toString("base64"));
  assert.deepEqual(await get(server), { type: "image", data: png.toString("base64") });
  assert.ok((await desktop.run("wl-paste", ["--type", "image/png"])).equals(png));
  const text = randomBytes(2_500_000).toString("hex");
  await set(server, "text", text);
  assert.deepEqual(await get(server), { type: "text", data: text });
});

test("wl-copy's processes end when they are replaced, and outlive the server", { skip }, async () => {
  await using all = await start();
  const { server, desktop } = all;
  for (let i = 0; i < 10; i += 1) await set(server, "text", `content ${i}`);
  // One for each selection.
  await until(
    "the replaced processes have ended",
    async () => (await desktop.processes("wl-copy")).length === 2,
  );
  await server.server.close();
  assert.equal((await desktop.processes("wl-copy")).length, 2);
  assert.equal((await desktop.run("wl-paste", ["-n"])).toString("utf8"), "content 9");
});

test("refuses invalid clipboard data as the sender's mistake", { skip }, async () => {
  await using all = await start();
  const { server } = all;
  const refuse = async (body: string, text: string): Promise<void> => {
    const response = await server.post("/clipboard", body);
    assert.deepEqual([response.status, await response.text()], [400, `${text}\n`]);
  };
  for (const body of ["{", "[]", "null", '"text"', '{"type":1,"data":""}', '{"type":"text","data":7}']) {
    await refuse(body, "Invalid JSON");
  }
  await refuse('{"type":"image","data":"no base64!"}', "Invalid base64 image data");
  const large = await server.post("/clipboard", { type: "text", data: "x".repeat(64 * 1024 * 1024) });
  assert.deepEqual([large.status, await large.text()], [413, "Clipboard data too large\n"]);
  assert.equal((await server.request("/clipboard", { method: "PUT" })).status, 405);
  await set(server, "text", "still works");
});

test("without a display it cannot be set, and is empty", async () => {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-nothing-"));
  try {
    await using server = await startServer({ runtimeFolder: folder });
    const response = await server.post("/clipboard", { type: "text", data: "x" });
    assert.deepEqual([response.status, await response.text()], [500, "no Wayland display\n"]);
    assert.deepEqual(await get(server), EMPTY);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a display that cannot be used is a failure to set", { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-nothing-"));
  try {
    await using server = await startServer({ runtimeFolder: folder });
    await writeFile(join(folder, "wayland-1"), "");
    const text = await server.post("/clipboard", { type: "text", data: "x" });
    assert.equal(text.status, 500);
    assert.match(await text.text(), /^wl-copy: \S[^]*\n$/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("pushes the content at first and then each change, with one watch for all", { skip }, async () => {
  await using all = await start();
  const { server, desktop } = all;
  await set(server, "text", "before");
  const first = await server.connect("/ws/clipboard");
  assert.equal(await first.message(), '{"type":"text","data":"before"}');
  const second = await server.connect("/ws/clipboard");
  assert.equal(await second.message(), '{"type":"text","data":"before"}');
  await until("it is watched", async () => (await desktop.processes("wl-paste")).length > 0);
  await desktop.run("wl-copy", ["--type", "text/plain"], Buffer.from("on the desktop"));
  for (const client of [first, second]) {
    assert.equal(await client.message(), '{"type":"text","data":"on the desktop"}');
  }
  await set(server, "image", "AAAA");
  for (const client of [first, second])
    assert.equal(await client.message(), '{"type":"image","data":"AAAA"}');
  await set(server, "text", "");
  for (const client of [first, second]) assert.equal(await client.message(), '{"type":"text","data":""}');
  assert.equal((await desktop.processes("wl-paste")).length, 1);
  first.socket.close();
  second.socket.close();
  await Promise.all([first.closed, second.closed]);
  await until("nothing is watched", async () => (await desktop.processes("wl-paste")).length === 0);
});

test("a watch that dies is started again", { skip }, async () => {
  await using all = await start();
  const { server, desktop } = all;
  const client = await server.connect("/ws/clipboard");
  assert.equal(await client.message(), '{"type":"text","data":""}');
  let killed: number[] = [];
  await until("it is watched", async () => (killed = await desktop.processes("wl-paste")).length > 0);
  for (const id of killed) process.kill(id, "SIGKILL");
  await until("another watches", async () => {
    const ids = await desktop.processes("wl-paste");
    return ids.length > 0 && ids.every((id) => !killed.includes(id));
  });
  await desktop.run("wl-copy", ["--type", "text/plain"], Buffer.from("after"));
  assert.equal(await client.message(), '{"type":"text","data":"after"}');
  await server.server.close();
  assert.deepEqual(await client.closed, { code: 1001, reason: "server is shutting down" });
});

test("a listener that does not read is closed with 1013, and the others continue", { skip }, async () => {
  // It has all the time it needs to read what was sent before the end.
  await using all = await start({ closeTimeoutMs: 60_000 });
  const { server } = all;
  const slow = await server.connect("/ws/clipboard");
  await slow.message();
  const other = await server.connect("/ws/clipboard");
  await other.message();
  slow.socket.pause();
  // Each takes the other listener's message as the sign that it was sent to both.
  for (let i = 0; i < 6; i += 1) {
    const text = randomBytes(2_500_000).toString("hex");
    await set(server, "text", text);
    assert.ok((await other.message()).includes(text));
  }
  slow.socket.resume();
  assert.deepEqual(await within(slow.closed, "its end"), { code: 1013, reason: "too slow" });
  await set(server, "text", "small");
  assert.equal(await other.message(), '{"type":"text","data":"small"}');
});

test("a listener that does not respond to pings is closed, and one that does is kept", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({
    runtimeFolder: desktop.runtimeFolder,
    liveness: { pingIntervalMs: 20, deadlineMs: 2_000 },
  });
  const dead = await server.connect("/ws/clipboard", { autoPong: false });
  const alive = await server.connect("/ws/input");
  const { code } = await within(dead.closed, "its end");
  assert.equal(code, 1006);
  for (let i = 0; i < 12; i += 1) await within(once(alive.socket, "ping"), "a ping");
  assert.equal(alive.socket.readyState, alive.socket.OPEN);
});
