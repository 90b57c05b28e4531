import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { Http2Tunnel } from "../../../src/control/tunnels/http2-tunnel.ts";
import type { Tunnel } from "../../../src/control/tunnels/tunnel.ts";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { eventually, next, turn, within } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { init, isOpened, openSocket, SECRET, SOCKET_KINDS, startMoonlight } from "./moonlight-stand.ts";

afterEach(() => assertNothingOpen());

const BROWSER = "credentials-of-the-browser";

interface Service extends AsyncDisposable {
  port: number;
  accepted: Promise<WebSocket>;
  /** Below the first WebSocket. */
  socket: Promise<Socket>;
}

/** A service of this test's own in Moonlight's place. */
async function startService(): Promise<Service> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  const connection = next<[WebSocket, IncomingMessage]>(server, "connection");
  connection.catch(() => {});
  await next(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    accepted: connection.then(([webSocket]) => webSocket),
    socket: connection.then(([, request]) => request.socket),
    [Symbol.asyncDispose]: async () => {
      for (const socket of server.clients) socket.terminate();
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      await promise;
    },
  };
}

/** First fields of Moonlight's messages, up to its answer to an offer and a candidate. */
const BEFORE_CONNECTING: readonly string[] = [
  "UpdateApp StageStarting StageComplete StageStarting WebRtcConfig StageComplete StageStarting",
  "Signaling Signaling",
].flatMap((line) => line.split(" "));

/** A frame header with its length in eight bytes, although fewer would do. */
function withLongLength(text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(14);
  header[0] = 0x81;
  header[1] = 0xff;
  header.writeBigUInt64BE(BigInt(payload.length), 2); // the mask behind it is zero
  return Buffer.concat([header, payload]);
}

for (const kind of SOCKET_KINDS) {
  describe(`Moonlight signalling by ${kind}`, () => {
    it("keeps Moonlight's order, and neither side sees the other's secrets", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, session, tap } = stand;
      await using socket = await openSocket(kind, url, `${path}?access_token=${alice}&quality=high`, {
        headers: { cookie: "theme=dark", "sec-websocket-extensions": "permessage-deflate" },
      });
      assert.equal(socket.status, kind === "RFC 8441" ? 200 : 101);
      assert.equal(socket.headers["sec-websocket-extensions"], undefined, "nothing is compressed");
      socket.send(init(session.id));
      await socket.messages.find(isOpened, "the stream");
      socket.send(
        JSON.stringify({ Signaling: { Description: { ty: "offer", sdp: "a=setup:actpass\r\n" } } }),
      );
      await socket.messages.findNth(
        3,
        (message) => JSON.stringify(message).includes("Signaling"),
        "the server's offer",
      );
      const tags = socket.messages.all.map((message) => Object.keys(message as object)[0]);
      assert.deepEqual(tags.slice(0, BEFORE_CONNECTING.length), BEFORE_CONNECTING);
      assert.deepEqual(tags.slice(-2), ["ConnectionComplete", "Signaling"]);
      const answer = JSON.stringify(socket.messages.all[tags.indexOf("Signaling")]);
      assert.match(answer, /"ty":"answer","sdp":"a=setup:active/);

      const [request] = stand.moonlight.requests;
      assert.equal(request?.url, "/api/host/stream?quality=high");
      assert.equal(request?.headers.authorization, `Bearer ${SECRET}`);
      assert.equal(request?.headers["sec-websocket-extensions"], undefined);
      const atMoonlight = unmasked(tap.toService());
      for (const secret of [alice, BROWSER, "theme=dark"]) {
        assert.ok(!atMoonlight.includes(secret), `Moonlight has not seen ${secret}`);
      }
      assert.ok(atMoonlight.includes(SECRET));
      assert.ok(!socket.received().includes(SECRET), "the caller has not seen the shared secret");
      assert.deepEqual([socket.pings.length, stand.moonlight.controlFrames.length], [0, 0]);
    });

    for (const [how, write] of [
      [
        "in fragments",
        (text: string, frame: Framer) => [
          frame(text.slice(0, 9), { fin: false }),
          frame(text.slice(9, 200), { opcode: 0, fin: false }),
          frame(text.slice(200), { opcode: 0 }),
        ],
      ],
      [
        "in packets of seven bytes",
        (text: string, frame: Framer) => {
          const bytes = frame(text);
          return Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) =>
            bytes.subarray(i * 7, i * 7 + 7),
          );
        },
      ],
      ["with a length of eight bytes", (text: string) => [withLongLength(text)]],
      [
        "together with the next message",
        (text: string, frame: Framer) => [
          Buffer.concat([frame(text), frame('{"Signaling":{"AddIceCandidate":{"candidate":"x"}}}')]),
        ],
      ],
    ] as const) {
      it(`rewrites a first message that comes ${how}`, async () => {
        await using stand = await startMoonlight();
        const { url, path, alice, session, tap } = stand;
        await using socket = await openSocket(kind, url, path, { token: alice });
        for (const chunk of write(init(session.id), socket.frame)) {
          socket.stream.write(chunk);
          await turn(3); // mostly a packet of its own
        }
        await socket.messages.find(isOpened, "the stream");
        if (how === "together with the next message") {
          await socket.messages.find(
            (message) => JSON.stringify(message).includes('"candidate":"x"'),
            "the echo",
          );
        }
        assert.ok(!unmasked(tap.toService()).includes(BROWSER));
      });
    }

    it("rewrites a first message of many kilobytes, and keeps its other members exactly", async () => {
      await using service = await startService();
      await using stand = await startMoonlight({ port: service.port });
      const { url, path, alice, session } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      const backend = await service.accepted;
      const got = next<[Buffer]>(backend, "message");
      const text = init(session.id, { note: "ü".repeat(30_000), app_id: 1 }).replace(
        '"app_id":1',
        '"app_id":10235712998877665541',
      );
      socket.send(text);
      const [message] = await got;
      assert.equal(message.toString("utf8"), text.replace(`"${BROWSER}"`, `"${SECRET}"`));
    });

    it("refuses a first message that is too large with 1009, and Moonlight sees nothing of it", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, session, tap } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.send(init(session.id, { note: "x".repeat(70_000) }));
      assert.deepEqual(await socket.closed, { code: 1009, reason: "the first message is too large" });
      assert.equal(await socket.ended, "end");
      await stand.moonlight.whenIdle();
      assert.ok(!unmasked(tap.toService()).includes("xxxx"));
    });

    it("refuses a frame without a mask with 1002", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, session, tap } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.stream.write(socket.frame(init(session.id), { mask: false }));
      assert.equal((await socket.closed)?.code, 1002);
      await stand.moonlight.whenIdle();
      assert.ok(!tap.toService().includes(BROWSER));
    });

    it("refuses a first message that names another session with 1008", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, tap } = stand;
      const other = await stand.another();
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.send(init(other.id, { mode: "join" }));
      assert.deepEqual(await socket.closed, { code: 1008, reason: "the message names another session" });
      await stand.moonlight.whenIdle();
      assert.ok(!unmasked(tap.toService()).includes(SECRET.repeat(2)));
      assert.equal(stand.moonlight.state.streams.size, 0);
    });

    it("refuses to join another session's stream, whose id a page has chosen; its own may be kept", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, moonlight } = stand;
      const other = await stand.another();
      const page = { session_id: "browser-1764288000000-x" };
      await using viewer = await openSocket(kind, url, `/api/v1/stream/${other.id}`, { token: alice });
      viewer.send(init("", page));
      await viewer.messages.find(isOpened, "the page's stream");
      await using thief = await openSocket(kind, url, path, { token: alice });
      thief.send(init("", { ...page, mode: "join" }));
      assert.deepEqual(await thief.closed, {
        code: 1008,
        reason: "the message names a stream that its session has not opened",
      });
      assert.deepEqual([moonlight.state.streams.size, viewer.stream.closed], [1, false]);
      const own = await stand.another();
      const stream = { session_id: `agent-${own.id}` };
      await using keeper = await openSocket(kind, url, `/api/v1/stream/${own.id}`, { token: alice });
      keeper.send(init("", { ...stream, mode: "keepalive" }));
      await eventually(() => moonlight.state.streams.size === 2, "the kept stream");
    });

    it("refuses a session_id that is no string, although it names no session", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, tap } = stand;
      const other = await stand.another();
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.send(init("", { mode: "join", session_id: [`agent-${other.id}`] }));
      assert.equal((await socket.closed)?.code, 1008);
      await stand.moonlight.whenIdle();
      assert.ok(!unmasked(tap.toService()).includes(SECRET.repeat(2)));
      assert.equal(stand.moonlight.state.streams.size, 0);
    });

    it("passes an end without a close frame", async () => {
      await using service = await startService();
      await using stand = await startMoonlight({ port: service.port });
      const { url, path, alice, session } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.send(init(session.id));
      const backend = await service.accepted;
      await next(backend, "message");
      backend.terminate();
      assert.equal(await socket.closed, undefined, "the target drops the connection");
    });

    it("stays open where Moonlight's handler has died of a frame, until its caller leaves", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, session, moonlight } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.send(init(session.id));
      await socket.messages.find(isOpened, "the stream");
      socket.stream.write(socket.frame("binary", { opcode: 2 }));
      await eventually(() => moonlight.state.streams.size === 0, "the handler's end");
      assert.equal((await call(`${url}/healthz`, { token: null })).status, 200);
      assert.deepEqual([moonlight.openWebSockets, socket.stream.closed], [1, false]);
    });

    it("passes a first message of another kind", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.send('{"note":"of a later version"}');
      await eventually(() => unmasked(stand.tap.toService()).includes("of a later version"), "the message");
    });

    it("refuses a first message that is no JSON text, and Moonlight sees nothing of it", async () => {
      for (const [payload, options, code] of [
        ["this is not JSON", {}, 1008],
        [init("x"), { opcode: 2 }, 1003],
      ] as const) {
        await using stand = await startMoonlight();
        const { url, path, alice, tap } = stand;
        await using socket = await openSocket(kind, url, path, { token: alice });
        socket.stream.write(socket.frame(payload, options));
        assert.equal((await socket.closed)?.code, code);
        await stand.moonlight.whenIdle();
        assert.doesNotMatch(unmasked(tap.toService()), /this is not JSON|credentials-of/);
      }
    });

    it("closes a flood of control frames before the first message, and serves others meanwhile", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, tap } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      const ping = socket.frame("p", { opcode: 9 });
      socket.stream.write(Buffer.concat(Array<Buffer>(10_000).fill(ping)));
      assert.deepEqual(await socket.closed, {
        code: 1008,
        reason: "too many control frames before the first message",
      });
      assert.equal((await call(`${url}/healthz`, { token: null })).status, 200);
      await stand.moonlight.whenIdle();
      assert.ok(!tap.toService().includes(ping.subarray(0, 2)));
    });

    it("passes a caller's close before its first message, which Moonlight does not return", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, moonlight } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      socket.close(1000, "changed my mind");
      assert.equal(await socket.closed, undefined);
      const [close] = moonlight.closes;
      assert.deepEqual([close?.code, close?.reason, close?.isMasked], [1000, "changed my mind", true]);
      await moonlight.whenIdle();
    });

    it("passes what Moonlight sends before the caller's first message", async () => {
      await using service = await startService();
      await using stand = await startMoonlight({ port: service.port });
      const { url, path, alice } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      const backend = await service.accepted;
      backend.send('{"Hello":1}');
      await socket.messages.find(() => true, "the first word");
      backend.close(4_008, "too slow");
      assert.deepEqual(await socket.closed, { code: 4_008, reason: "too slow" });
    });

    it("passes close codes and reasons unchanged in both directions", async () => {
      for (const [code, reason] of [
        [1000, "bye"],
        [1011, ""],
        [4_000, "superseded"],
        [4_999, "ü".repeat(61)],
      ] as const) {
        await using service = await startService();
        await using stand = await startMoonlight({ port: service.port });
        const { url, path, alice, session } = stand;
        await using first = await openSocket(kind, url, path, { token: alice });
        first.send(init(session.id));
        const backend = await service.accepted;
        const seen = next<[number, Buffer]>(backend, "close");
        first.close(code, reason);
        const [gotCode, gotReason] = await seen;
        assert.deepEqual([gotCode, gotReason.toString()], [code, reason]);
        assert.equal((await first.closed)?.code, code, "and its response");
      }
      for (const [code, reason] of [
        [1000, "bye"],
        [4_000, "superseded"],
      ] as const) {
        await using service = await startService();
        await using stand = await startMoonlight({ port: service.port });
        const { url, path, alice } = stand;
        await using socket = await openSocket(kind, url, path, { token: alice });
        (await service.accepted).close(code, reason);
        assert.deepEqual(await socket.closed, { code, reason });
      }
    });

    it("is closed when the tunnel is lost: with 1012 between two frames, with a reset within one", async () => {
      await using service = await startService();
      await using stand = await startMoonlight({ port: service.port });
      const { url, path, alice } = stand;
      await using socket = await openSocket(kind, url, path, { token: alice });
      const backend = await service.accepted;
      backend.send('{"Hello":1}');
      await socket.messages.find(() => true, "a whole frame");
      loseTunnel(stand);
      assert.deepEqual(await socket.closed, { code: 1012, reason: "the connection to the target was lost" });
      assert.equal(await socket.ended, "end");

      await using otherService = await startService();
      await using other = await startMoonlight({ port: otherService.port });
      await using cut = await openSocket(kind, other.url, other.path, { token: other.alice });
      (await otherService.socket).write(Buffer.from([0x81, 0x7e, 0x10, 0x00, 0x7b])); // the beginning of 4,096 bytes
      await eventually(() => cut.received().includes(0x7b), "the beginning of a frame");
      loseTunnel(other);
      assert.equal(await cut.closed, undefined, "no frame of ours in the middle of one");
      assert.equal(await cut.ended, "reset");
    });

    it("ends at Moonlight when the caller disconnects, with or without a close frame", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, session, moonlight } = stand;
      const socket = await openSocket(kind, url, path, { token: alice });
      socket.send(init(session.id));
      await socket.messages.find(isOpened, "the stream");
      await socket[Symbol.asyncDispose]();
      await within(moonlight.whenIdle(), "Moonlight's end");
      assert.equal(moonlight.state.streams.size, 0);
    });

    it("is limited to one in three seconds before a stream is opened; another session is not", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, tap } = stand;
      await using first = await openSocket(kind, url, path, { token: alice });
      assert.notEqual(first.status, 429);
      const [streams, connections] = [await stand.streams(), tap.connections];
      await using second = await openSocket(kind, url, path, { token: alice });
      assert.equal(second.status, 429);
      assert.match(String(second.headers["retry-after"]), /^[1-3]$/);
      assert.deepEqual([await stand.streams(), tap.connections], [streams, connections]);
      const other = await stand.another();
      await using third = await openSocket(kind, url, `/api/v1/stream/${other.id}`, { token: alice });
      assert.notEqual(third.status, 429);
      assert.equal(await stand.streams(), streams + 1);
    });

    it("does not count against the limit if its handshake is invalid", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice } = stand;
      const bad = await call(`${url}${path}`, {
        token: alice,
        headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      });
      assert.equal(bad.status, 400, "no key");
      await using good = await openSocket(kind, url, path, { token: alice });
      assert.notEqual(good.status, 429);
    });

    it("is refused as Moonlight refuses it, before the caller sees a WebSocket", async () => {
      await using stand = await startMoonlight();
      const { url, alice, session } = stand;
      const path = `/moonlight/api/ws/refuse?status=418&session_id=${session.id}`;
      await using users = await openSocket(kind, url, path, { token: alice });
      assert.equal(users.status, 403, "it is no viewer's WebSocket");
      await using socket = await openSocket(kind, url, path, { token: ADMIN_TOKEN });
      assert.equal(socket.status, 418);
      assert.match(socket.body, /refused by the double/);
    });

    it("is refused to others: missing, foreign and unknown sessions", async () => {
      await using stand = await startMoonlight();
      const { url, path, alice, bob, session } = stand;
      for (const [where, token, status] of [
        [path, null, 401],
        [path, bob, 404],
        [`/api/v1/stream/ses_unknown`, alice, 404],
        [`/moonlight/host/stream`, alice, 400],
        [`/moonlight/host/stream?session_id=`, alice, 400],
        [`/moonlight/host/stream?session_id=${session.id}`, bob, 404],
        [`/moonlight/host/stream?session_id=agent-${session.id}-1`, bob, 404],
      ] as const) {
        await using socket = await openSocket(kind, url, where, { token });
        assert.equal(socket.status, status, where);
      }
      assert.equal(stand.tap.connections, 0, "Moonlight has heard of none");
    });

    it("is found at each of its paths", async () => {
      await using stand = await startMoonlight();
      const { url, alice } = stand;
      for (const name of [
        (id: string) => `/moonlight/api/host/stream?session_id=${id}`,
        (id: string) => `/moonlight/host/stream?session_id=agent-${id}-3`,
        (id: string) => `/moonlight/host/stream?a=1&session_id=agent-${id}&access_token=${alice}&b=2`,
      ]) {
        const session = await stand.another();
        await using socket = await openSocket(kind, url, name(session.id), { token: alice });
        socket.send(init(session.id, { session_id: `agent-${session.id}-3` }));
        await socket.messages.find(isOpened, "the stream");
      }
      assert.deepEqual(
        stand.moonlight.requests.map(({ url }) => url),
        ["/api/host/stream", "/api/host/stream", "/api/host/stream?a=1&b=2"],
      );
    });
  });
}

type Framer = (payload: string, options?: { opcode?: number; fin?: boolean }) => Buffer;

function loseTunnel(stand: {
  sessions: {
    system: {
      controlPlane: {
        runners(): readonly {
          id: string;
          connections: readonly { tunnel: Tunnel }[];
        }[];
      };
    };
  };
}): void {
  for (const { id, connections } of stand.sessions.system.controlPlane.runners()) {
    if (id !== "moonlight-a") continue;
    for (const { tunnel } of connections) (tunnel as Http2Tunnel).carrier.stream.destroy();
  }
}

/** HTTP heads as they are, and the payloads of the frames behind the last of them. */
function unmasked(bytes: Buffer): string {
  const end = bytes.lastIndexOf("\r\n\r\n") + 4;
  const parts = [bytes.toString("latin1", 0, end)];
  let at = end;
  while (at + 6 <= bytes.length) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    const length =
      short === 126
        ? bytes.readUInt16BE(at + 2)
        : short === 127
          ? Number(bytes.readBigUInt64BE(at + 2))
          : short;
    const mask = bytes.subarray(at + 2 + extended, at + 6 + extended);
    const payload = Buffer.from(bytes.subarray(at + 6 + extended, at + 6 + extended + length));
    for (let i = 0; i < payload.length; i += 1) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
    parts.push(payload.toString("utf8"));
    at += 6 + extended + length;
  }
  return parts.join("\n");
}
