/** WebSockets by the forward proxy: absolute form, Extended CONNECT to the target's name, and inside a dialled stream. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import { readUntil } from "../../../src/demo/raw-exchange.ts";
import { createRemoteDial } from "../../../src/index.ts";
import { errorCode } from "../../support/callers.ts";
import { MOONLIGHT_RUNNER, startDoubles } from "../../support/doubles.ts";
import type { DoubleSystem } from "../../support/doubles.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const NAME = `moonlight.${MOONLIGHT_RUNNER}`;
const CREDENTIAL = {
  "proxy-authorization": `Bearer ${ADMIN_TOKEN}`,
  authorization: "Bearer the target's own",
};
/** "hello" in a masked text frame with a mask of zeros, and the echo of it. */
const HELLO = Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from("hello")]);
const ECHO = "\u0081\u0005hello";

function handshake(fields: Record<string, string>): string {
  const all = {
    host: NAME,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    ...fields,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return [`GET http://${NAME}/api/ws/echo?x=1 HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

function checkSeen({ moonlight }: DoubleSystem): void {
  const seen = moonlight.requests.at(-1);
  assert.equal(seen?.url, "/api/ws/echo?x=1");
  assert.equal(seen.headers.host, NAME);
  assert.equal(seen.headers.authorization, CREDENTIAL.authorization);
  assert.equal(seen.headers["proxy-authorization"], undefined);
}

describe("a WebSocket by the forward proxy", () => {
  it("opens in absolute form", async () => {
    await using doubles = await startDoubles();
    const socket = net.connect(doubles.system.controlPlane.port, "127.0.0.1");
    socket.write(Buffer.concat([Buffer.from(handshake(CREDENTIAL)), HELLO]));
    assert.match(await within(readUntil(socket, ECHO), "the echo"), /^HTTP\/1\.1 101 /);
    checkSeen(doubles);
    socket.destroy();
  });

  it("is refused in absolute form with 407, not 401", async () => {
    await using doubles = await startDoubles();
    const socket = net.connect(doubles.system.controlPlane.port, "127.0.0.1");
    const end = ending(socket);
    socket.write(handshake({ authorization: CREDENTIAL["proxy-authorization"] }));
    const text = (await end).data.toString();
    assert.match(text, /^HTTP\/1\.1 407 [^]*\r\nproxy-authenticate: Basic/);
    assert.equal(errorCode(text.slice(text.indexOf("\r\n\r\n"))), "unauthenticated");
    socket.destroy();
  });

  it("opens by Extended CONNECT to the target's name", async () => {
    await using doubles = await startDoubles();
    const session = http2.connect(`http://127.0.0.1:${doubles.system.controlPlane.port}`);
    await next(session, "remoteSettings");
    const connect = {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":authority": NAME,
      ":path": "/api/ws/echo?x=1",
      "sec-websocket-version": "13",
    };
    const stream = session.request({ ...connect, ...CREDENTIAL });
    stream.write(HELLO);
    const [headers] = await next<[{ ":status"?: number }]>(stream, "response");
    const [data] = await next<[Buffer]>(stream, "data");
    assert.deepEqual([headers[":status"], data.toString("latin1")], [200, ECHO]);
    checkSeen(doubles);
    const refused = session.request(connect);
    const [response] = await next<[NodeJS.Dict<string>]>(refused, "response");
    assert.equal(Number(response[":status"]), 407);
    assert.match(String(response["proxy-authenticate"]), /^Basic/);
    const closed = next(session, "close");
    session.destroy();
    await closed;
  });

  it("opens inside a stream that was dialled, near or far", async () => {
    await using doubles = await startDoubles();
    const { controlPlane, url } = doubles.system;
    for (const dial of [controlPlane.dial, createRemoteDial({ server: url, token: ADMIN_TOKEN })]) {
      const stream: Duplex = await dial(MOONLIGHT_RUNNER, "moonlight");
      const socket = new WebSocket(`ws://${NAME}/api/ws/echo?x=1`, {
        headers: { authorization: CREDENTIAL.authorization },
        createConnection: () => stream,
      });
      await next(socket, "open");
      socket.send("hello");
      const [data] = await next<[Buffer]>(socket, "message");
      assert.equal(data.toString(), "hello");
      checkSeen(doubles);
      socket.close(1000);
      await within(once(socket, "close"), "the close");
    }
  });
});
