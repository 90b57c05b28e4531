/**
 * Traps: Extended CONNECT needs the agent's setting; a 'request' listener makes node refuse every CONNECT with 405; the
 * first frames share a packet with the 101, on both hops.
 * Guards: `enableConnectProtocol` in src/wire/session/reversed-session.ts; `socket.unshift(head)` in src/agent/streams/websocket.ts and
 * src/control/websocket/websocket-proxy.ts; the 'connect' listener in src/control/listener/port.ts.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http2 from "node:http2";
import net from "node:net";
import { after, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { ending, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startRawTarget } from "../support/raw-target.ts";
import { openSessionPair } from "../support/session-pair.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";

after(() => assertNothingOpen());

const PATH = `/api/v1/runners/${RUNNER}/targets/${TARGET}/ws`;
const TEXT_HI = Buffer.from([0x81, 0x02, 0x68, 0x69]);
/** The same, masked by zeros, as a client must. */
const TEXT_HI_MASKED = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);

function acceptKey(head: string): string {
  const key = /^sec-websocket-key: (\S+)$/im.exec(head)?.[1] ?? "";
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** Completes the handshake and sends its first frame in the same packet. */
async function startEagerTarget() {
  return startRawTarget(({ head, socket }) => {
    const fields = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptKey(head)}`;
    socket.write(
      Buffer.concat([Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n\r\n`), TEXT_HI]),
    );
  });
}

describe("extended CONNECT", () => {
  it("is announced by the agent in its SETTINGS", async () => {
    await using pair = await openSessionPair();
    assert.equal(pair.control.remoteSettings.enableConnectProtocol, true);
  });

  it("carries the frame that a target sends in the packet of its 101", async () => {
    await using system = await startSystem({ target: await startEagerTarget() });
    const socket = new WebSocket(`${system.url.replace("http", "ws")}${PATH}`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const [data] = await next<[Buffer]>(socket, "message");
    assert.equal(data.toString(), "hi");
    socket.terminate();
  });

  it("carries the frame that a caller sends in the packet of its request", async () => {
    const target = await startHttpTarget(() => {});
    const server = new WebSocketServer({ server: target.http });
    const got = Promise.withResolvers<string>();
    server.on("connection", (socket) => {
      socket.on("message", (data: Buffer) => got.resolve(data.toString()));
    });
    await using system = await startSystem({ target });
    const caller = net.connect(system.controlPlane.port, "127.0.0.1");
    const fields = [
      `GET ${PATH} HTTP/1.1`,
      "Host: x",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      `Authorization: Bearer ${ADMIN_TOKEN}`,
    ];
    caller.write(Buffer.concat([Buffer.from(`${fields.join("\r\n")}\r\n\r\n`), TEXT_HI_MASKED]));
    assert.equal(await got.promise, "hi");
    caller.destroy();
  });

  it("and plain CONNECT get our own response and not 405 on the control plane's HTTP/2", async () => {
    await using system = await startSystem({ target: await startEagerTarget() });
    const session = http2.connect(system.url);
    await next(session, "remoteSettings");
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const extended = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": PATH,
      ":scheme": "http",
      authorization: `Bearer ${ADMIN_TOKEN}`,
    });
    const plain = session.request({
      ":method": "CONNECT",
      ":authority": `${TARGET}.${RUNNER}`,
      "proxy-authorization": `Bearer ${ADMIN_TOKEN}`,
    });
    const frame = next<[Buffer]>(extended, "data");
    const responses = [extended, plain].map((stream) => next<[{ ":status": number }]>(stream, "response"));
    for (const [headers] of await Promise.all(responses)) assert.equal(headers[":status"], 200);
    assert.deepEqual((await frame)[0], TEXT_HI);
    extended.on("error", () => {});
    const end = ending(plain);
    plain.write("GET / HTTP/1.1\r\nsec-websocket-key: x\r\n\r\n");
    await next(plain, "data");
    session.on("error", () => {});
    session.destroy(new Error("test"));
    await end;
  });
});
