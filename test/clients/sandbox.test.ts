/** The sandbox client against a real HTTP server with Helix's quirks, through a tunnel and by CONNECT. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { WebSocket } from "ws";
import type { Message, MessageSocket } from "../../src/clients/http/message-socket.ts";
import { createSandboxClient, sandboxOverTunnel } from "../../src/clients/sandbox/client.ts";
import type { SandboxClient } from "../../src/clients/sandbox/client.ts";
import { SandboxError } from "../../src/clients/sandbox/errors.ts";
import { ending, eventually, next, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { RUNNER } from "../support/system.ts";
import { ETAG, PICTURE, startSandboxServer } from "./sandbox-server.ts";
import type { SandboxServer } from "./sandbox-server.ts";
import { code, reach } from "./reach.ts";
import type { Reached, ConnectionKind } from "./reach.ts";

const KINDS: readonly ConnectionKind[] = ["tunnel", "remote"];

for (const kind of KINDS) {
  describe(`the sandbox's client, ${kind}`, () => {
    let server: SandboxServer;
    let reached: Reached;
    let sandbox: SandboxClient;

    beforeEach(async () => {
      server = await startSandboxServer();
      reached = await reach(kind, "screenshot", server.target.address, sandboxOverTunnel);
      sandbox = createSandboxClient(reached.open);
    });

    afterEach(async () => {
      try {
        await eventually(() => server.target.sockets.size === 0, "the end of all connections");
      } finally {
        await reached[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      }
      await assertNothingOpen();
    });

    test("takes a large screenshot, and none that it has", async () => {
      const first = await sandbox.screenshot();
      assert.ok(first.kind === "image");
      assert.ok(first.bytes.equals(PICTURE));
      assert.equal(first.contentType, "image/jpeg");
      assert.equal(first.etag, ETAG);
      const png = await sandbox.screenshot({ format: "png", quality: 40, includeCursor: false });
      assert.ok(png.kind === "image");
      assert.equal(png.contentType, "image/png");
      assert.deepEqual(await sandbox.screenshot({ etag: first.etag }), { kind: "not-modified" });
      assert.deepEqual(server.seen, [
        "GET /screenshot",
        "GET /screenshot?format=png&quality=40&include_cursor=false",
        "GET /screenshot",
      ]);
    });

    test("distinguishes a desktop that is starting from a broken one", async () => {
      server.displayIsUp = false;
      for (const call of [() => sandbox.screenshot(), () => sandbox.clipboard()]) {
        const error = await call().catch((reason: unknown) => reason);
        assert.ok(error instanceof SandboxError);
        assert.equal(error.status, 500);
        assert.match(error.reason, /^No Wayland/);
        assert.equal(error.isDisplayMissing, true);
      }
      const refused = await sandbox.openWebSocket("/ws/stream").catch((reason: unknown) => reason);
      assert.ok(refused instanceof SandboxError);
      assert.equal(refused.status, 503);
      assert.equal(refused.isDisplayMissing, true);
      await sandbox.health();
      server.displayIsUp = true;
      assert.equal((await sandbox.screenshot()).kind, "image");
    });

    test("gets and sets the clipboard, empty, text and picture", async () => {
      for (const age of ["older", "newer"] as const) {
        server.age = age;
        assert.deepEqual(await sandbox.clipboard(), { kind: "empty" }, age);
      }
      await sandbox.setClipboard({ kind: "text", text: "Grüße\n" });
      assert.deepEqual(server.clipboard, { type: "text", data: "Grüße\n" });
      assert.deepEqual(await sandbox.clipboard(), { kind: "text", text: "Grüße\n" });
      await sandbox.setClipboard({ kind: "image", png: PICTURE });
      const picture = await sandbox.clipboard();
      assert.ok(picture.kind === "image");
      assert.ok(picture.png.equals(PICTURE));
    });

    test("reports an invalid response", async () => {
      server.clipboard = {} as never;
      await assert.rejects(sandbox.clipboard(), code("target_protocol"));
    });

    test("uploads a file as it comes, of known size and of unknown", async () => {
      const pieces = ["first ", "second ", "third"].map((piece) => Buffer.from(piece));
      async function* source(): AsyncGenerator<Buffer, void, undefined> {
        for (const piece of pieces) yield piece;
      }
      const uploaded = await sandbox.upload('a "b".txt', source(), { openFileManager: true });
      assert.equal(uploaded.filename, "a %22b%22.txt");
      assert.equal(server.uploads[0]?.headers["transfer-encoding"], "chunked");
      const size = Buffer.concat(pieces).length;
      await sandbox.upload("b.txt", pieces, { size });
      assert.equal(server.uploads[1]?.headers["content-length"], String(server.uploads[1]?.body.length));
      for (const { headers, body } of server.uploads) {
        const form = await new Response(body, {
          headers: { "content-type": headers["content-type"] ?? "" },
        }).formData();
        const file = form.get("file");
        assert.ok(file instanceof File);
        assert.equal(await file.text(), "first second third");
      }
      assert.deepEqual(server.seen, [
        "POST /upload?open_file_manager=true",
        "POST /upload?open_file_manager=false",
      ]);
    });

    test("hears a refusal before it has sent everything", async () => {
      let sent = 0;
      async function* endless(): AsyncGenerator<Buffer, void, undefined> {
        for (;;) {
          yield Buffer.alloc(64 * 1024);
          sent += 64 * 1024;
        }
      }
      const uploading = sandbox.upload("big", endless(), { size: 400 * 1024 * 1024 });
      await assert.rejects(uploading, { name: "SandboxError", status: 413, reason: "file too large" });
      assert.ok(sent < 100 * 1024 * 1024, `${sent} bytes`);
    });

    test("passes on in its own words what is wrong with the caller's file", async () => {
      async function* broken(): AsyncGenerator<Buffer, void, undefined> {
        yield Buffer.from("half");
        throw new RangeError("disk on fire");
      }
      await assert.rejects(sandbox.upload("half", broken()), { name: "RangeError", message: "disk on fire" });
    });

    test("runs what may be run", async () => {
      const result = await sandbox.exec(["echo", "a b"], { env: { LANG: "C" }, timeoutS: 3 });
      assert.equal(result.success, true);
      assert.equal(result.exitCode, 0);
      assert.deepEqual(JSON.parse(result.output), { args: ["a b"], env: { LANG: "C" }, timeout: 3 });
      assert.equal((await sandbox.exec(["echo"], { background: true })).pid, 4711);
      await assert.rejects(sandbox.exec(["rm"]), {
        name: "SandboxError",
        status: 403,
        reason: /not allowed: rm/,
      });
    });

    test("takes an abort to a command that hangs", async () => {
      const giveUp = new AbortController();
      const calling = assert.rejects(sandbox.exec(["hang"], { signal: giveUp.signal }), code("aborted"));
      const gone = ending(await server.target.accepted());
      await eventually(() => server.seen.length === 1, "the request");
      giveUp.abort();
      await gone;
      await calling;
    });

    test("keeps every message of a WebSocket, the first included, and responds to pings", async () => {
      const accepted = server.nextWebSocket();
      const socket = await sandbox.openWebSocket("/ws/stream?x=1");
      const theirs = await accepted;
      const pong = next(theirs, "pong");
      theirs.ping("alive?");
      assert.equal(String((await pong)[0]), "alive?");
      const message = once(theirs, "message");
      await socket.send('{"type":"init"}');
      assert.equal(String((await message)[0]), '{"type":"init"}');
      theirs.send("text");
      theirs.close(4000, "superseded");
      const seen: Message[] = [];
      for await (const message of socket) seen.push(message);
      assert.deepEqual(seen, [
        { kind: "binary", bytes: Buffer.from([0x30, 1, 2]) },
        { kind: "text", text: "text" },
      ]);
      assert.deepEqual(await socket.closed, { code: 4000, reason: "superseded" });
      assert.deepEqual(server.seen, ["WS /ws/stream?x=1"]);
    });

    test("makes a server wait that sends faster than anybody reads, and loses nothing", async () => {
      const accepted = server.nextWebSocket();
      const socket = await sandbox.openWebSocket("/ws/stream");
      const theirs = await accepted;
      const frame = Buffer.alloc(256 * 1024, 7);
      const count = 128; // 32 MiB: more than all buffers between the two
      for (let n = 0; n < count; n += 1) theirs.send(frame);
      await standstill(theirs);
      assert.ok(theirs.bufferedAmount > 0, "the server has to wait");
      let seen = 0;
      for await (const message of socket) {
        if (message.kind === "binary" && message.bytes.equals(frame)) seen += 1;
        if (seen === count) break;
      }
      await socket.close(1000, "done");
      assert.deepEqual(await socket.closed, { code: 1000, reason: "done" });
    });

    test("closes a WebSocket that is not read", async () => {
      const accepted = server.nextWebSocket();
      const socket = await sandbox.openWebSocket("/ws/stream");
      const theirs = await accepted;
      for (let n = 0; n < 128; n += 1) theirs.send(Buffer.alloc(256 * 1024));
      await standstill(theirs);
      const closed = next(theirs, "close");
      await within(socket.close(), "the end of the WebSocket");
      await closed;
      assert.deepEqual(await socket.closed, { code: 1005, reason: "" }, "in good order");
    });

    test("reports that a WebSocket was lost", async () => {
      const accepted = server.nextWebSocket();
      const socket = await sandbox.openWebSocket("/ws/input");
      await accepted;
      await readOne(socket);
      const reading = readOne(socket);
      const lost = assert.rejects(reading, { name: "TurnaboutError", message: /lost|reset/i });
      reached.system?.controlPlane.kick(RUNNER);
      await lost;
      assert.equal((await socket.closed).code, 1006);
      await assert.rejects(socket.send("x"), { name: "TurnaboutError" });
    });

    test("gives a WebSocket's handshake up", async () => {
      const signal = AbortSignal.abort();
      await assert.rejects(sandbox.openWebSocket("/ws/input", { signal }), code("aborted"));
      server.target.http.removeAllListeners("upgrade");
      server.target.http.on("upgrade", () => {});
      const opening = sandbox.openWebSocket("/ws/input", { timeoutMs: 1_000 });
      await assert.rejects(opening, code("response_timeout"));
    });
  });
}

/** Nothing has left the server for a while. */
async function standstill(socket: WebSocket): Promise<void> {
  let before = -1;
  let unchanged = 0;
  await eventually(() => {
    unchanged = socket.bufferedAmount === before ? unchanged + 1 : 0;
    before = socket.bufferedAmount;
    return unchanged > 150;
  }, "the end of all movement");
}

async function readOne(socket: MessageSocket): Promise<Message | undefined> {
  for await (const message of socket) return message;
  return undefined;
}
