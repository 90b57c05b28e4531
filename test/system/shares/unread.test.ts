/** Callers who do not read what waits for them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import type { Call } from "../../support/callers.ts";
import { ending, eventually, next, pause } from "../../support/events.ts";
import { flood } from "../../support/flood.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const user = (id: string): TokenRecord => ({ id, kind: "user", sha256: hashToken(id), runners: ["*"] });
const tokens = [user("alice"), user("bob")];
const as = (who: string) => ({ authorization: `Bearer ${who}`, "x-who": who });

async function stopped(system: System, reason: string): Promise<number> {
  const { body } = await call(`${system.url}/metrics`);
  return Number(new RegExp(`callers_stopped_total\\{reason="${reason}"\\} (\\d+)`).exec(body)?.[1] ?? 0);
}

async function unreadUntil(system: System, isEnough: (bytes: number) => boolean): Promise<void> {
  for (;;) {
    const { body } = await call(`${system.url}/metrics`);
    if (isEnough(Number(/^turnabout_unread_bytes (\d+)/m.exec(body)?.[1]))) return;
    await pause();
  }
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`a caller on ${kind} that does not read`, () => {
    it("is ended when nothing has moved for the time of a stall, and not one that reads", async () => {
      await using target = await startHttpTarget((_request, response) => void flood(response));
      await using system = await startSystem({ target, controlPlane: { tokens, callerStallMs: 300 } });
      await using stalled = await openCaller(kind, system);
      await using reading = await openCaller(kind, system);
      const [alices, bobs] = [stalled, reading].map((caller) =>
        caller.open({ path: via("/"), headers: as("alice"), bodyless: true }),
      ) as [Call, Call];
      for (const { request } of [alices, bobs]) if (!request.writableEnded) request.end();
      const { body: unread } = await alices.response;
      unread.pause();
      const { body: read } = await bobs.response;
      let bytes = 0;
      read.on("data", (chunk: Buffer) => (bytes += chunk.length));
      await eventually(() => target.sockets.size === 1, "the end of one");
      assert.equal(await stopped(system, "not-read"), 1);
      const before = bytes;
      await eventually(() => bytes > before, "more for the other");
      assert.equal((await ending(unread)).kind, "error", "it looks incomplete");
      bobs.abort();
      await eventually(() => target.sockets.size === 0, "the end of the other");
    });

    it("is ended when more than one may have waits for it, the others of that user left alone", async () => {
      await using target = await startHttpTarget((request, response) => {
        if (request.url === "/flood") flood(response);
        else response.write("some");
      });
      await using system = await startSystem({
        target,
        controlPlane: { tokens, unreadBytesPerCaller: 512 * 1024 },
      });
      await using caller = await openCaller(kind, system);
      const open = (path: string): Call => {
        const opened = caller.open({ path: via(path), headers: as("alice"), bodyless: true });
        if (!opened.request.writableEnded) opened.request.end();
        return opened;
      };
      const quiet = open("/quiet");
      const { body } = await quiet.response;
      await next(body, "data");
      const flooded = open("/flood");
      const { body: unread } = await flooded.response;
      unread.pause();
      await eventually(() => target.sockets.size === 1, "the end of one");
      assert.equal(await stopped(system, "too-many-bytes"), 1);
      assert.equal((await ending(unread)).kind, "error");
      assert.equal(body.destroyed, false);
      quiet.abort();
      await eventually(() => target.sockets.size === 0, "the end of the other");
    });
  });
}

describe("a user for whom much waits to be read", () => {
  it("gets no further streams until it reads; another user does", async () => {
    const bound = 1024 * 1024;
    await using target = await startHttpTarget((request, response) => {
      if (request.url === "/much") response.write(Buffer.alloc(bound));
      else response.end("served");
    });
    await using system = await startSystem({
      target,
      controlPlane: { tokens, unreadBytesPerCaller: bound },
    });
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    const much = caller.open({ path: via("/much"), headers: as("alice"), bodyless: true });
    const { body } = await much.response;
    body.pause();
    // The caller's own window has a part of it.
    await unreadUntil(system, (bytes) => bytes > 0.9 * bound);
    const [refused, served] = await Promise.all(
      ["alice", "bob"].map((who) => caller.call({ path: via("/"), headers: as(who) })),
    );
    assert.deepEqual([refused?.status, served?.status], [503, 200]);
    body.resume();
    await unreadUntil(system, (bytes) => bytes < bound / 2);
    const again = await caller.call({ path: via("/"), headers: as("alice") });
    assert.equal(again.status, 200);
    much.abort();
  });
});

describe("a tunnel", () => {
  it("is ended when its caller does not read, and may be idle for any time", async () => {
    await using target = await startTarget((socket) => {
      socket.on("end", () => socket.end());
      socket.once("data", (chunk: Buffer) => {
        if (chunk.toString() === "flood") flood(socket);
        else socket.write(chunk);
      });
    });
    await using system = await startSystem({ target, controlPlane: { tokens, callerStallMs: 300 } });
    const open = async () => {
      const socket = await connectRaw(system.controlPlane.port);
      socket.write(
        `CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer alice\r\n\r\n`,
      );
      const [head] = await next<[Buffer]>(socket, "data");
      assert.match(head.toString(), /^HTTP\/1.1 200/);
      return socket;
    };
    const [idle, stalled] = [await open(), await open()];
    stalled.pause();
    stalled.write("flood");
    await eventually(() => target.sockets.size === 2, "both");
    await eventually(() => target.sockets.size === 1, "the end of the one that does not read");
    const data = next<[Buffer]>(idle, "data");
    idle.write("echo");
    assert.equal((await data)[0].toString(), "echo");
    stalled.destroy();
    idle.destroy();
    await eventually(() => target.sockets.size === 0, "the end of both");
  });
});

for (const kind of PLAINTEXT_CALLERS) {
  describe(`a WebSocket on ${kind}`, () => {
    it("is ended when its caller does not read, and its target as well", async () => {
      await using target = await startHttpTarget(() => {});
      target.http.on("upgrade", (request, socket) => {
        socket.on("error", () => {}); // permanent
        const key = String(request.headers["sec-websocket-key"]);
        const head = [
          "HTTP/1.1 101 Switching Protocols",
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Accept: ${acceptKey(key)}`,
        ];
        socket.write(`${head.join("\r\n")}\r\n\r\n`);
        const length = [0, 0, 0, 16, 0, 0, 0, 0];
        socket.write(Buffer.from([0x82, 127, ...length])); // one message of 64 GiB
        flood(socket);
      });
      await using system = await startSystem({ target, controlPlane: { tokens, callerStallMs: 300 } });
      const webSocket = await openWebSocket(kind, system, via("/"), {
        headers: as("alice"),
        maxPayload: 0,
        skipUTF8Validation: true,
      });
      webSocket.socket.pause();
      await eventually(() => target.sockets.size === 0, "the end");
      assert.equal(await stopped(system, "not-read"), 1);
      webSocket.socket.terminate();
    });
  });
}

/** RFC 6455 §4.2.2. */
function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
