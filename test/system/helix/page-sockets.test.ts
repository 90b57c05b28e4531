import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import type { RawData, WebSocket } from "ws";
import { api } from "../../support/api.ts";
import { next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { init, openSocket, SECRET, SOCKET_KINDS } from "./moonlight-stand.ts";
import type { BareSocket, SocketKind } from "./moonlight-stand.ts";
import { startPage } from "./page-stand.ts";
import type { PageStand } from "./page-stand.ts";

afterEach(() => assertNothingOpen());

const STREAM = "/api/host/stream";

async function openPageSocket(
  kind: SocketKind,
  stand: PageStand,
  session: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<BareSocket> {
  const { url, alice } = stand;
  return openSocket(kind, url, `/moonlight/s/${session}${path}`, {
    headers: { cookie: `access_token=${alice}`, origin: url, ...headers },
  });
}

for (const kind of SOCKET_KINDS) {
  describe(`Signalling of Moonlight Web's page by ${kind}`, () => {
    it("has the credentials that each dialect takes, where it takes them", async () => {
      await using stand = await startPage();
      const fork = JSON.parse(init("browser-1764-42")) as { AuthenticateAndInit: object };
      for (const [path, message, expected] of [
        [STREAM, fork, { AuthenticateAndInit: { ...fork.AuthenticateAndInit, credentials: SECRET } }],
        [STREAM, { Init: { host_id: 0, app_id: 1 } }, undefined],
        [`${STREAM}/web_socket`, { Request: { host_id: 0, app_id: 1, width: 1280 } }, undefined],
      ] as const) {
        const session = await stand.another();
        const from = stand.sockets.length;
        await using caller = await openPageSocket(kind, stand, session.id, path, {
          authorization: "Bearer what-was-typed",
          "sec-websocket-extensions": "permessage-deflate",
        });
        assert.equal(caller.status, kind === "RFC 8441" ? 200 : 101, caller.body);
        const { socket, request } = await stand.sockets.find(() => true, "the WebSocket", { from });
        const first = next<[RawData, boolean]>(socket, "message");
        caller.send(JSON.stringify(message));
        const [data] = await first;
        assert.deepEqual(JSON.parse(text(data)), expected ?? message);
        assert.equal(request.url, path);
        assert.equal(request.headers.authorization, `Bearer ${SECRET}`);
        assert.deepEqual(
          [request.headers.cookie, request.headers["sec-websocket-extensions"]],
          [undefined, undefined],
        );
        socket.send('{"UpdateApp":{}}');
        await caller.messages.find(() => true, "a message of Moonlight's");
        assert.ok(!caller.received().includes(SECRET), "the caller has not seen the secret");
      }
    });

    it("carries binary messages both ways behind the first, whole and in order", async () => {
      await using stand = await startPage();
      await using caller = await openPageSocket(kind, stand, stand.session.id, STREAM);
      const { socket } = await stand.sockets.find(() => true, "the WebSocket");
      const first = next<[RawData, boolean]>(socket, "message");
      caller.send('{"Init":{"host_id":0}}');
      await first;
      const pieces = Array.from({ length: 64 }, (_, i) => Buffer.alloc(128 * 1024, i));
      const [sent, received] = [hashOf(pieces), collect(socket, pieces.length)];
      socket.pause(); // what has no reader waits at its sender
      let isFull = false;
      for (const piece of pieces) isFull = !caller.stream.write(caller.frame(piece, { opcode: 2 })) || isFull;
      assert.ok(isFull);
      socket.resume();
      assert.equal(await within(received, "all from the caller"), sent);
      caller.stream.removeAllListeners("data");
      caller.stream.pause();
      for (const piece of pieces) socket.send(piece);
      let bytes = 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      const frames = pieces.reduce((sum, piece) => sum + piece.length + 10, 0); // with a header of ten bytes each
      caller.stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes === frames) resolve();
      });
      caller.stream.resume();
      await within(promise, "all from Moonlight");
    });

    it("names no other session, and is refused to others, to other origins and at other paths", async () => {
      await using stand = await startPage();
      const { bob, session, url } = stand;
      const other = await stand.another(bob);
      for (const [id, path, headers, status] of [
        [other.id, STREAM, {}, 404],
        [session.id, STREAM, { cookie: `access_token=${bob}` }, 404],
        [session.id, STREAM, { origin: "https://evil.example" }, 403],
        [session.id, `${STREAM}/webrtc`, {}, 403],
        [session.id, "/api/ws/echo", {}, 403],
        [session.id, "", {}, 405],
      ] as const) {
        await using caller = await openPageSocket(kind, stand, id, path, headers);
        assert.equal(caller.status, status, `${id} ${path}`);
      }
      assert.equal(stand.sockets.length, 0);
      await using caller = await openPageSocket(kind, stand, session.id, STREAM);
      await using second = await openPageSocket(kind, stand, session.id, STREAM);
      assert.equal(second.status, 429);
      caller.send(JSON.stringify({ Init: { host_id: 0, room: `x-${other.id}` } }));
      assert.deepEqual(await caller.closed, { code: 1008, reason: "the message names another session" });
      assert.equal((await api(url, "DELETE", `/api/v1/sessions/${session.id}`)).status, 204);
    });
  });
}

function text(data: RawData): string {
  return (data as Buffer).toString("utf8");
}

function hashOf(pieces: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

/** Hash of the next binary messages. */
function collect(socket: WebSocket, count: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const pieces: Buffer[] = [];
  socket.on("message", (data: RawData, isBinary: boolean) => {
    if (!isBinary) return reject(new Error("a text message"));
    pieces.push(data as Buffer);
    if (pieces.length === count) resolve(hashOf(pieces));
  });
  return promise;
}
