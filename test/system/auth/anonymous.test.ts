import assert from "node:assert/strict";
import http from "node:http";
import type { IncomingMessage } from "node:http";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { within } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

/** All routes, and how each refuses a caller without a token. */
const CLOSED: readonly [method: string, path: string][] = [
  ["GET", "/metrics"],
  ["GET", "/api/v1/runners"],
  ["GET", `/api/v1/runners/${RUNNER}`],
  ["GET", `/api/v1/runners/${RUNNER}/ping`],
  ["DELETE", `/api/v1/runners/${RUNNER}`],
  ["GET", `/api/v1/runners/${RUNNER}/targets/${TARGET}/`],
  ["POST", `/api/v1/runners/${RUNNER}/targets/${TARGET}/`],
  ["GET", "/api/v1/revdial?runnerid=x"],
  ["GET", "/api/v1/no-such-route"],
];

/** Upgrades and CONNECT have no ordinary response. */
async function rawStatus(system: System, options: http.RequestOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = http.request({
    host: "127.0.0.1",
    port: system.controlPlane.port,
    agent: false,
    ...options,
  });
  const onResponse = (response: IncomingMessage): void => {
    resolve(response.statusCode ?? 0);
    response.destroy();
  };
  request.on("response", onResponse);
  request.on("connect", (response, socket) => {
    socket.destroy();
    onResponse(response);
  });
  request.on("upgrade", (response, socket) => {
    socket.destroy();
    onResponse(response);
  });
  request.on("error", reject);
  request.end();
  return within(promise, "a response");
}

describe("a caller without a token", () => {
  it("gets nothing but /healthz and /readyz", async () => {
    await using system = await startSystem();
    assert.equal((await call(`${system.url}/healthz`, { token: null })).status, 200);
    assert.equal((await call(`${system.url}/readyz`, { token: null })).status, 200);
    for (const [method, path] of CLOSED) {
      const { status, body } = await call(`${system.url}${path}`, { method, token: null });
      assert.equal(status, 401, `${method} ${path}: ${body}`);
    }
    assert.deepEqual([...system.target.sockets], [], "the target has heard nothing");
  });

  it("gets no upgrade, no CONNECT and no proxied request", async () => {
    await using system = await startSystem();
    const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
    const key = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
    const path = `/api/v1/runners/${RUNNER}/targets/${TARGET}/`;
    assert.equal(await rawStatus(system, { path, headers: { ...upgrade, ...key } }), 401);
    const ptth = { connection: "Upgrade", upgrade: "ptth", alpn: "h2" };
    assert.equal(await rawStatus(system, { path: "/api/v1/revdial?runnerid=x", headers: ptth }), 401);
    assert.equal(await rawStatus(system, { method: "CONNECT", path: `${TARGET}.${RUNNER}:80` }), 407);
    assert.equal(await rawStatus(system, { path: `http://${TARGET}.${RUNNER}/` }), 407);
    assert.deepEqual([...system.target.sockets], []);
  });
});

describe("a runner's token", () => {
  it("registers its runner and does nothing else", async () => {
    const record: TokenRecord = { id: "r", kind: "runner", sha256: hashToken("r"), runners: ["*"] };
    await using system = await startSystem({ controlPlane: { tokens: [record] } });
    for (const [method, path] of CLOSED) {
      if (path.startsWith("/api/v1/revdial") || path === "/api/v1/no-such-route") continue;
      const { status, body } = await call(`${system.url}${path}`, { method, token: "r" });
      if (path === "/api/v1/runners") assert.equal(body, '{"runners":[]}');
      else assert.ok(status === 403 || status === 404, `${method} ${path}: ${status} ${body}`);
    }
    assert.deepEqual([...system.target.sockets], []);
  });
});
