/**
 * Traps: a header block above 64 KB closes the whole session; more pairs than the peer takes are ENHANCE_YOUR_CALM;
 * `:authority` with a character that nghttp2 does not like is a PROTOCOL_ERROR.
 * Guards: `openStream()` in src/control/registry/agent-connection.ts measures before it opens; src/wire/messages/names.ts lets nothing else
 * into the authority.
 */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { after, describe, it } from "node:test";
import { MAX_HEADER_BLOCK_BYTES, MAX_HEADER_PAIRS } from "../../src/wire/limits.ts";
import { connectionOn, openWith } from "../support/agent-connection.ts";
import { ending, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System } from "../support/system.ts";

after(() => assertNothingOpen());

const WEBSOCKET = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  authorization: `Bearer ${ADMIN_TOKEN}`,
};

/** Status of a WebSocket handshake with these fields besides. */
async function handshake(system: System, fields: Record<string, string>): Promise<number | undefined> {
  const request = http.get(`${system.url}/api/v1/runners/${RUNNER}/targets/${TARGET}/ws`, {
    agent: false,
    headers: { ...WEBSOCKET, ...fields },
  });
  const [response] = await next<[http.IncomingMessage]>(request, "response");
  await ending(response);
  return response.statusCode;
}

async function assertSameSession(system: System): Promise<void> {
  const socket = await system.controlPlane.dial(RUNNER, TARGET);
  const end = ending(socket);
  socket.end("alive");
  assert.equal((await end).data.toString(), "alive");
  assert.deepEqual(
    system.controlPlane.runners().map(({ state, connections }) => [state, connections.length]),
    [["connected", 1]],
  );
}

describe("a header that is too large for the tunnel", () => {
  it("is refused with 431 before it is sent, when a single field is", async () => {
    await using pair = await openSessionPair();
    const connection = connectionOn(pair);
    const headers = { ":method": "CONNECT", ":authority": "echo.runner", big: "x".repeat(70_000) };
    assert.throws(() => openWith(connection, headers), { code: "headers_too_large", status: 431 });
    const stream = openWith(connection, { ":method": "CONNECT", ":authority": "echo.runner" });
    assert.equal((await next<[{ ":status": number }]>(stream, "response"))[0][":status"], 200);
    stream.destroy();
  });

  it("is refused with 431 by its size, and the tunnel connection lives", async () => {
    await using system = await startSystem();
    const { connections } = system.controlPlane.runners()[0] ?? {};
    const fields: Record<string, string> = {};
    // Few bytes on HTTP/1.1, but HTTP/2 counts 32 more for each field.
    for (let n = 0; n * 40 < MAX_HEADER_BLOCK_BYTES; n += 1) fields[`x${n}`] = "1";
    assert.equal(await handshake(system, fields), 431);
    await assertSameSession(system);
    assert.equal(system.controlPlane.runners()[0]?.connections[0], connections?.[0]);
  });

  it("is refused with 431 by its number of fields, and the tunnel connection lives", async () => {
    await using system = await startSystem();
    const { connections } = system.controlPlane.runners()[0] ?? {};
    const fields: Record<string, string> = {};
    for (let n = 0; n < MAX_HEADER_PAIRS; n += 1) fields[`x${n}`] = "1";
    assert.equal(await handshake(system, fields), 431);
    await assertSameSession(system);
    assert.equal(system.controlPlane.runners()[0]?.connections[0], connections?.[0]);
  });

  it("is refused stream by stream on the caller's HTTP/2, and both connections live", async () => {
    await using system = await startSystem();
    const session = http2.connect(system.url);
    await next(session, "remoteSettings");
    const fields: Record<string, string> = {};
    for (let n = 0; n < 120; n += 1) fields[`x${n}`] = "y".repeat(250);
    const refused = session.request({ ":path": `/api/v1/runners/${RUNNER}/targets/${TARGET}/`, ...fields });
    const [response] = await next<[IncomingHttpHeaders & IncomingHttpStatusHeader]>(refused, "response");
    assert.equal(response[":status"], 431);
    assert.equal((await ending(refused)).kind, "end");
    const healthy = session.request({ ":path": "/healthz" });
    assert.equal((await ending(healthy)).data.toString(), "ok\n");
    session.close();
    await next(session, "close");
    await assertSameSession(system);
  });
});

describe("a name that no authority can carry", () => {
  it("is refused before a stream is opened", async () => {
    await using system = await startSystem();
    for (const name of [
      "",
      "UPPER",
      "a b",
      "a/b",
      "unix:/var/run/docker.sock",
      "é",
      "user@host",
      "a".repeat(200),
    ]) {
      await assert.rejects(system.controlPlane.dial(name, TARGET), { code: "bad_request" }, name);
      await assert.rejects(system.controlPlane.dial(RUNNER, name), { code: "bad_request" }, name);
    }
    await assertSameSession(system);
  });
});
