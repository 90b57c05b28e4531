/** Frames are bytes to us: none is lost at the border of a handshake, and none is ever added. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http2 from "node:http2";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { CALLERS, via } from "../../support/callers.ts";
import { startDoubles, viaMoonlight } from "../../support/doubles.ts";
import { rawExchange, readUntil } from "../../../src/demo/raw-exchange.ts";
import { next, within } from "../../support/events.ts";
import { acceptKey } from "../../support/extended-connect.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

/** A text frame without a mask, as servers send it (RFC 6455 §5.2). */
function textFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
}

function keyOf(head: string): string {
  return /^sec-websocket-key: (.*)$/im.exec(head)?.[1] ?? "";
}

function accept(head: string): string {
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
  return [...lines, `Sec-WebSocket-Accept: ${acceptKey(keyOf(head))}`, "", ""].join("\r\n");
}

for (const kind of CALLERS) {
  describe(`over ${kind}`, () => {
    it("frames that share a packet with the target's 101 are kept", async () => {
      const target = await startRawTarget(({ head, socket }) => {
        socket.write(Buffer.concat([Buffer.from(accept(head)), textFrame("first"), textFrame("second")]));
      });
      await using system = await startSystem({ tls: true, target });
      await using caller = await openWebSocket(kind, system, via("/"));
      assert.deepEqual([await caller.text(), await caller.text()], ["first", "second"]);
    });

    it("no ping is sent during a long silence", async () => {
      const keepalive = { pingIntervalMs: 20, pingDeadlineMs: 5_000 };
      await using doubles = await startDoubles({ tls: true, controlPlane: keepalive, agent: keepalive });
      const { system, moonlight } = doubles;
      await using caller = await openWebSocket(kind, system, viaMoonlight("/api/ws/echo"));
      const [connection] = system.controlPlane.runners()[0]?.connections ?? [];
      assert.ok(connection);
      // Silent for the callers, not for us: both ends of the tunnel connection keep it alive meanwhile.
      for (let n = 1; n <= 5; n += 1) await next(connection.http2Session, "ping");
      caller.socket.send("still there");
      assert.equal(await caller.text(), "still there");
      assert.deepEqual([caller.controlFrames, moonlight.controlFrames], [[], []]);
    });

    it("the two ends' own pings and pongs pass, one for one", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openWebSocket(kind, doubles.system, viaMoonlight("/api/ws/echo"));
      const pong = next<[Buffer]>(caller.socket, "pong");
      caller.socket.ping("payload");
      assert.equal(String((await pong)[0]), "payload");
      const seen = doubles.moonlight.controlFrames.map(({ kind, payload }) => `${kind} ${String(payload)}`);
      assert.deepEqual(seen, ["ping payload"]);
    });
  });
}

/** A masked text frame, as callers send it; the mask is all zeros. */
function maskedFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

function handshake(path: string): string {
  return [
    `GET ${viaMoonlight(path)} HTTP/1.1`,
    "Host: x",
    "Connection: keep-alive, Upgrade",
    "Upgrade: WebSocket", // the token is case-insensitive (RFC 9110 §7.8)
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    `Authorization: Bearer ${ADMIN_TOKEN}`,
    "",
    "",
  ].join("\r\n");
}

it("a frame that shares a packet with an HTTP/1.1 caller's handshake is kept", async () => {
  await using doubles = await startDoubles();
  const socket = net.connect(doubles.system.controlPlane.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(Buffer.concat([Buffer.from(handshake("/api/ws/echo")), maskedFrame("early")]));
  const response = await within(readUntil(socket, "\u0081\u0005early"), "the echo");
  assert.match(response, /^HTTP\/1\.1 101 /);
  socket.destroy();
});

it("a frame that shares a packet with a handshake that is refused does not cost the refusal", async () => {
  await using doubles = await startDoubles();
  const response = await rawExchange(
    { port: doubles.system.controlPlane.port, host: "127.0.0.1" },
    Buffer.concat([Buffer.from(handshake("/api/ws/refuse?status=404")), maskedFrame("early")]),
  );
  assert.match(response.statusLine, /^HTTP\/1\.1 404 /);
  assert.deepEqual(JSON.parse(response.body.toString()), { error: "refused by the double", status: 404 });
});

it("a frame that an HTTP/2 caller sends right after its Extended CONNECT is kept", async () => {
  await using doubles = await startDoubles();
  const session = http2.connect(`http://127.0.0.1:${doubles.system.controlPlane.port}`);
  await next(session, "remoteSettings");
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": viaMoonlight("/api/ws/echo"),
    "sec-websocket-version": "13",
    authorization: `Bearer ${ADMIN_TOKEN}`,
  });
  stream.write(maskedFrame("early"));
  const [headers] = await next<[{ ":status"?: number }]>(stream, "response");
  assert.equal(headers[":status"], 200);
  const [data] = await next<[Buffer]>(stream, "data");
  assert.deepEqual(data, textFrame("early"));
  const closed = next(session, "close");
  session.destroy();
  await closed;
});
