/** Requests that a relay does not forward, and peers that are not its agents. */
import assert from "node:assert/strict";
import type http from "node:http";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { MAX_RELAY_PENDING_REQUESTS, RELAY_REQUEST_TIMEOUT_MS } from "../../../src/agent/limits.ts";
import { assertEchoes } from "../../support/agents.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ENDPOINT, rawExchange, startRelayTo, upgradeRequest } from "../../support/relays.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

describe("a relay", () => {
  const local: [string, string, RegExp][] = [
    ["another path", "GET /api/v1/runners HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 404 /],
    ["an upgrade on another path", upgradeRequest({}, "/api/v1/runners/a/targets/b/"), /^HTTP\/1\.1 404 /],
    ["the path spelt otherwise", upgradeRequest({}, "/api/v1/x/../revdial?runnerid=a"), /^HTTP\/1\.1 404 /],
    ["the path with a doubled slash", upgradeRequest({}, "//api/v1/revdial?runnerid=a"), /^HTTP\/1\.1 404 /],
    ["the path, percent-encoded", upgradeRequest({}, "/api/v1/revdia%6c?runnerid=a"), /^HTTP\/1\.1 404 /],
    [
      "the absolute form",
      upgradeRequest({}, "http://elsewhere/api/v1/revdial?runnerid=a"),
      /^HTTP\/1\.1 404 /,
    ],
    ["CONNECT", "CONNECT wolf.wolf-1:80 HTTP/1.1\r\nHost: wolf.wolf-1\r\n\r\n", /^HTTP\/1\.1 404 /],
    ["the path without an upgrade", `GET ${ENDPOINT} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1\.1 426 /],
    ["h2c", upgradeRequest({ Upgrade: "h2c", "HTTP2-Settings": "AAMAAABk" }), /^HTTP\/1\.1 426 /],
    ["an upgrade with a body", `${upgradeRequest({ "Content-Length": "5" })}GET /`, /^HTTP\/1\.1 400 /],
    [
      "a chunked upgrade",
      `${upgradeRequest({ "Transfer-Encoding": "chunked" })}0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    ["another method", upgradeRequest().replace("GET", "POST"), /^HTTP\/1\.1 405 [^]*\nallow: GET\r/],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /^HTTP\/1\.1 400 /],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["garbage", "\0\x01\x02\xff\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["a header without end", `GET ${ENDPOINT} HTTP/1.1\r\nX: ${"x".repeat(40_000)}`, /^HTTP\/1\.1 431 /],
  ];

  it(`responds itself: ${local.map(([name]) => name).join(", ")}`, async () => {
    await using upstream = await startTarget();
    await using relay = await startRelayTo(`http://${upstream.address}`);
    for (const [name, bytes, expected] of local) {
      assert.match(await rawExchange(relay.port, bytes), expected, name);
    }
    assert.equal(upstream.sockets.size, 0);
    const all = await rawExchange(relay.port, upgradeRequest({}, "/"));
    assert.match(all, /proxy-status: turnabout-relay; error=destination_not_found; details="not_found"/);
  });

  it("responds to one request of a connection, and to nothing that is pipelined behind it", async () => {
    await using upstream = await startTarget();
    await using relay = await startRelayTo(`http://${upstream.address}`);
    const get = "GET /one HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const behind of [upgradeRequest(), "CONNECT a.b:80 HTTP/1.1\r\nHost: a.b\r\n\r\n", "\0\r\n\r\n"]) {
      const text = await rawExchange(relay.port, get.repeat(3) + behind);
      assert.match(text, /^HTTP\/1\.1 404 /);
      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 404"], text);
      assert.match(text, /"\}\}$/); // whole
    }
    assert.equal(upstream.sockets.size, 0);
  });

  it("forwards the agent's fields, adds its own hop, and drops other claims", async () => {
    const seen: http.IncomingMessage[] = [];
    await using upstream = await startHttpTarget(() => {});
    upstream.http.on("upgrade", (request, socket) => {
      seen.push(request);
      socket.end(
        "HTTP/1.1 503 Not Now\r\nRetry-After: 7\r\nProxy-Status: cp; x\r\nX-Own: a\r\nContent-Length: 4\r\n\r\nbusy",
      );
    });
    await using relay = await startRelayTo(`http://${upstream.address}/base`);
    const fields = {
      Authorization: "Bearer inner",
      "Turnabout-Instance": "i-1",
      "X-Later-Version": "kept",
      "X-Forwarded-For": "1.2.3.4",
      "X-Real-IP": "1.2.3.4",
      Forwarded: "for=10.1.1.1",
      Via: "1.1 before",
      "Proxy-Authorization": "Basic abc",
      Connection: "Upgrade, X-Hop",
      "X-Hop": "gone",
    };
    const response = await rawExchange(
      relay.port,
      upgradeRequest(fields, "/base/api/v1/revdial?runnerid=a&runnerid=b&z=%20"),
    );
    const [request] = seen;
    assert.equal(request?.url, "/base/api/v1/revdial?runnerid=a&runnerid=b&z=%20");
    const headers = request?.headers ?? {};
    const via = /^1\.1 before, 1\.1 turnabout-relay-[0-9a-f]{12}$/;
    assert.match(String(headers.via), via);
    assert.deepEqual(
      { ...headers, via: "" },
      {
        host: upstream.address,
        connection: "Upgrade",
        upgrade: "ptth",
        alpn: "h2",
        authorization: "Bearer inner",
        "turnabout-instance": "i-1",
        "x-later-version": "kept",
        forwarded: "for=10.1.1.1, for=127.0.0.1",
        via: "",
      },
    );
    assert.equal(
      response,
      "HTTP/1.1 503 Not Now\r\nRetry-After: 7\r\nProxy-Status: cp; x\r\nX-Own: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy",
    );
  });

  it("responds 502 if the upgrade is dropped or the response is malformed, and continues", async () => {
    await using deaf = await startTarget((socket) => void socket.on("data", () => socket.destroy()));
    await using mad = await startTarget((socket) => void socket.end("\0\0\0"));
    for (const upstream of [deaf, mad]) {
      await using relay = await startRelayTo(`http://${upstream.address}`);
      for (let i = 0; i < 2; i += 1) {
        const response = await rawExchange(relay.port, upgradeRequest());
        assert.match(response, /^HTTP\/1\.1 502 [^]*"code":"carrier_failed"/);
      }
    }
  });

  it("closes its connection to the control plane when the agent disconnects", async () => {
    await using upstream = await startTarget();
    await using relay = await startRelayTo(`http://${upstream.address}`);
    const socket = net.connect({ port: relay.port, host: "127.0.0.1" });
    socket.write(upgradeRequest());
    const accepted = await upstream.accepted();
    await next(accepted, "data");
    const end = ending(accepted);
    socket.destroy();
    assert.notEqual((await end).kind, "error");
  });

  it("closes connections without a request or with a slow one, and serves others meanwhile", async () => {
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url);
    const slow: net.Socket[] = [];
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write("x");
    }, 500);
    try {
      for (let i = 0; i < MAX_RELAY_PENDING_REQUESTS + 50; i += 1) {
        const socket = net.connect({ port: relay.port, host: "127.0.0.1" });
        socket.on("error", () => {}); // permanently
        socket.resume();
        slow.push(socket);
        await next(socket, "connect");
        if (i % 2 === 0) socket.write("GET /api/v1/revdial HTTP/1.1\r\nX: ");
      }
      const ended = (): number => slow.filter(({ destroyed }) => destroyed).length;
      await eventually(() => ended() >= 50, "room for others");
      await system.addAgent({ inner: { echo: system.target.address } }, { server: relay.http });
      await assertEchoes(system.controlPlane.dial, "inner", "echo");
      await eventually(
        () => ended() === slow.length,
        "the end of the slow ones",
        RELAY_REQUEST_TIMEOUT_MS + 10_000,
      );
      await assertEchoes(system.controlPlane.dial, "inner", "echo");
    } finally {
      clearInterval(drip);
      for (const socket of slow) socket.destroy();
    }
  });
});
