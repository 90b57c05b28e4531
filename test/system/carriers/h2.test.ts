import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import type { ClientHttp2Stream, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { guardHttp2Session } from "../../../src/wire/streams/end-stream.ts";
import { CARRIER_STREAM_WINDOW_BYTES } from "../../../src/wire/limits.ts";
import { serveReversed } from "../../../src/wire/session/reversed-session.ts";
import { StreamCarrier } from "../../../src/wire/session/stream-carrier.ts";
import { assertEchoes, file, followAgent } from "../../support/agents.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { join, listen, startTlsTerminator } from "../../support/reverse-proxies.ts";
import type { ReverseProxy } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startConnectProxy, startHttp2ConnectProxy } from "../../support/outbound-proxies.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { startSocksServer } from "../../support/socks-server.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => {
  delete process.env["ALL_PROXY"];
  return assertNothingOpen();
});

function runnersOf(system: System): Record<string, Record<string, string>> {
  return { [RUNNER]: { [TARGET]: system.target.address } };
}

/** An HTTP/2-only proxy without TLS, which forwards Extended CONNECT if it is configured to. */
async function startHttp2OnlyProxy(toPort: number, enableConnectProtocol: boolean): Promise<ReverseProxy> {
  const server = http2.createServer({ settings: { enableConnectProtocol } });
  const sessions = new Set<http2.Http2Session>();
  server.on("session", (session) => {
    guardHttp2Session(session);
    session.on("error", () => {}); // permanently
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const upstream = http2.connect(`http://127.0.0.1:${toPort}`);
    guardHttp2Session(upstream);
    upstream.on("error", () => {}); // permanently
    upstream.once("remoteSettings", () => {
      const passed = upstream.request({ ...headers }, { endStream: false });
      passed.once("response", ({ ":status": status, ...fields }) => {
        stream.respond({ ":status": status, ...fields });
        join(stream, passed);
      });
      passed.once("close", () => upstream.close());
    });
  });
  const proxy = await listen(server);
  const close = async (): Promise<void> => {
    for (const session of sessions) session.destroy();
    await proxy.close();
  };
  return { ...proxy, close, [Symbol.asyncDispose]: close };
}

describe("the carrier h2", () => {
  it("is what auto takes behind a reverse proxy that speaks only HTTP/2, and logs why", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startHttp2OnlyProxy(system.controlPlane.port, true);
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}`, runners: runnersOf(system) });
    const { carrier, why } = await agent.connected();
    assert.equal(carrier, "h2");
    assert.match(why, /^the preferred carriers failed: ptth: .+; websocket: .+/);
    await assertEchoes(system.controlPlane.dial);
    assert.equal(system.controlPlane.runners()[0]?.connections[0]?.tunnel.kind, "h2");
  });

  it("reports what is missing if the peer offers no Extended CONNECT, no h2, or no HTTP/2", async () => {
    const pki = await createPki();
    const credential = await issueServer(pki);
    await using plain = await startHttp2OnlyProxy(1, false);
    await using silent = await startTlsTerminator(1, credential);
    await using http1 = await listen(http.createServer((_request, response) => response.end("hello")));
    for (const [server, message] of [
      [`http://127.0.0.1:${plain.port}`, /^h2: the HTTP\/2 peer offers no Extended CONNECT$/],
      [`https://localhost:${silent.port}`, /^h2: the TLS peer did not select h2$/],
      [`http://127.0.0.1:${http1.port}`, /^h2: the peer does not speak HTTP\/2: /],
    ] as const) {
      await using agent = followAgent({ server, carrier: "h2", caFile: file(pki.ca) });
      assert.match((await agent.failed()).error.message, message);
    }
  });

  it("comes again when its connection is cut, and leaves nothing behind", async () => {
    await using system = await startSystem({ agents: 0, faulty: true });
    await using agent = followAgent({ server: system.agentUrl, carrier: "h2", runners: runnersOf(system) });
    await agent.connected();
    const socket = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
    const end = ending(socket);
    system.path?.cut();
    assert.equal((await end).kind, "error");
    await agent.lost();
    await agent.events.findNth(2, ({ type }) => type === "connected", "the reconnect");
    await assertEchoes(system.controlPlane.dial);
  });

  it("lets streams finish when either end drains, and notifies the agent", async () => {
    for (const who of ["control plane", "agent"] as const) {
      await using system = await startSystem({ agents: 0 });
      await using agent = followAgent({ server: system.url, carrier: "h2", runners: runnersOf(system) });
      await agent.connected();
      const socket = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
      socket.write("before");
      await next(socket, "data");
      const closed = who === "agent" ? agent.agent.close() : system.controlPlane.close();
      const end = ending(socket);
      socket.end(" and after");
      const { kind, data } = await end;
      assert.deepEqual([kind, data.toString()], ["end", " and after"]);
      if (who === "control plane") assert.match((await agent.lost()).reason, /^draining: /);
      await within(closed, `the end of the ${who}`);
    }
  });

  it("gets out through proxies: CONNECT, SOCKS, and an HTTP/2 proxy on TLS", async () => {
    const pki = await createPki("proxies");
    await using system = await startSystem({ agents: 0 });
    const { port } = system.controlPlane;
    await using connect = await startConnectProxy();
    await using socks = await startSocksServer({ toPort: port });
    await using http2Proxy = await startHttp2ConnectProxy(await issueServer(pki));
    for (const [id, proxy] of [
      ["connect", `http://127.0.0.1:${connect.port}`],
      ["socks", `socks5://127.0.0.1:${socks.port}`],
      ["http2", `https://localhost:${http2Proxy.port}`],
    ] as const) {
      process.env["ALL_PROXY"] = proxy;
      await using agent = followAgent({
        server: `http://0.0.0.0:${port}`,
        carrier: "h2",
        caFile: file(pki.ca),
        runners: { [id]: { [TARGET]: system.target.address } },
      });
      await agent.connected();
      await assertEchoes(system.controlPlane.dial, id);
    }
    assert.deepEqual([connect.connects.length, socks.requests.length, http2Proxy.connects.length], [1, 1, 1]);
  });

  it("is refused by a relay, which takes upgrades alone", async () => {
    const { startRelayTo } = await import("../../support/relays.ts");
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url);
    await using agent = followAgent({ server: relay.http, carrier: "h2" });
    assert.match((await agent.failed()).error.message, /^h2: the peer does not speak HTTP\/2: /);
  });
});

/** Extended CONNECT by a client of another implementation. */
async function extendedConnect(
  system: System,
  path: string,
  fields: Record<string, string> = {},
): Promise<{
  headers: IncomingHttpHeaders & { ":status"?: number };
  stream: ClientHttp2Stream;
  session: http2.ClientHttp2Session;
}> {
  const session = http2.connect(system.url);
  guardHttp2Session(session);
  session.on("error", () => {}); // permanently
  await next(session, "remoteSettings");
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "ptth",
    ":path": path,
    authorization: `Bearer ${ADMIN_TOKEN}`,
    ...fields,
  });
  const [headers] = await next<[IncomingHttpHeaders]>(stream, "response");
  return { headers, stream, session };
}

const ENDPOINT = "/api/v1/revdial";
const ORIGINS = "https%3A%2F%2Frunner-1,http%3A%2F%2FRunner-2%3A8443";

function serveHello(session: http2.ServerHttp2Session, ids: readonly string[]): void {
  session.on("stream", (stream, headers) => {
    if (headers[":path"] !== "/hello") return void stream.destroy(new Error("unexpected"));
    stream.respond({ ":status": 200 });
    stream.end(
      JSON.stringify({ protocol: 1, version: "x", instance: "x", runners: ids.map((id) => ({ id })) }),
    );
  });
}

describe("the agent endpoint by Extended CONNECT", () => {
  for (const path of [
    `${ENDPOINT}?runnerid=runner-1`,
    `/revdial?runnerid=runner-1`,
    `/.well-known/ptth/?runnerid=runner-1`,
    `/.well-known/ptth/${ORIGINS}/`,
  ]) {
    it(`takes ${path}, with large windows`, async () => {
      await using system = await startSystem({ agents: 0 });
      const { headers, stream, session } = await extendedConnect(system, path, {
        alpn: "h3qx, h2, http%2F1.1",
      });
      assert.deepEqual([headers[":status"], headers["alpn"]], [200, "h2"]);
      await eventually(
        () => session.remoteSettings.initialWindowSize === CARRIER_STREAM_WINDOW_BYTES,
        "the window of a tunnel",
      );
      const reversed = await serveReversed(new StreamCarrier(stream), (own) => serveHello(own, ["runner-1"]));
      await eventually(() => system.controlPlane.runners()[0]?.state === "connected", "the registration");
      const closed = next(session, "close");
      reversed.destroy();
      session.close();
      await closed;
    });
  }

  it("takes many tunnels at once on one connection, as a reverse proxy would send them", async () => {
    await using system = await startSystem({ agents: 0 });
    const session = http2.connect(system.url);
    guardHttp2Session(session);
    session.on("error", () => {}); // permanently
    await next(session, "remoteSettings");
    const ids = Array.from({ length: 20 }, (_, n) => `runner-${n}`);
    const reversed = await Promise.all(
      ids.map(async (id) => {
        const stream = session.request({
          ":method": "CONNECT",
          ":protocol": "ptth",
          ":path": `${ENDPOINT}?runnerid=${id}`,
          authorization: `Bearer ${ADMIN_TOKEN}`,
        });
        await next(stream, "response");
        return serveReversed(new StreamCarrier(stream), (own) => serveHello(own, [id]));
      }),
    );
    await eventually(() => system.controlPlane.runners().length === ids.length, "all registrations");
    const closed = next(session, "close");
    for (const each of reversed) each.destroy();
    session.close();
    await closed;
  });

  for (const [what, status, code, path, fields] of [
    ["without a token", 401, "unauthenticated", `${ENDPOINT}?runnerid=a`, { authorization: "" }],
    [
      "with an unknown token",
      401,
      "unauthenticated",
      `${ENDPOINT}?runnerid=a`,
      { authorization: "Bearer no" },
    ],
    [
      "for another's runner",
      403,
      "not_allowed",
      `${ENDPOINT}?runnerid=a`,
      { authorization: "Bearer narrow" },
    ],
    [
      "for another's origin",
      403,
      "not_allowed",
      `/.well-known/ptth/${ORIGINS}/`,
      { authorization: "Bearer narrow" },
    ],
    ["whose ALPN lacks h2", 426, "upgrade_required", `${ENDPOINT}?runnerid=a`, { alpn: "http%2F1.1, h2c" }],
    ["without a runner", 400, "bad_request", ENDPOINT, {}],
    ["with a runner that is none", 400, "bad_request", `${ENDPOINT}?runnerid=A%20b`, {}],
    ["with an origin that is none", 400, "bad_request", "/.well-known/ptth/null/", {}],
    ["with an origin that is not encoded well", 400, "bad_request", "/.well-known/ptth/%zz/", {}],
    [
      "with an instance of 129 characters",
      400,
      "bad_request",
      `${ENDPOINT}?runnerid=a`,
      { "turnabout-instance": "x".repeat(129) },
    ],
    ["with an empty instance", 400, "bad_request", `${ENDPOINT}?runnerid=a`, { "turnabout-instance": "" }],
    ["at another path", 404, "not_found", "/elsewhere", {}],
  ] as const) {
    it(`refuses a request ${what} with ${status} ${code}`, async () => {
      const narrow: TokenRecord = {
        id: "narrow",
        kind: "runner",
        sha256: hashToken("narrow"),
        runners: ["narrow"],
      };
      await using system = await startSystem({ agents: 0, controlPlane: { tokens: [narrow] } });
      const { headers, stream, session } = await extendedConnect(system, path, fields);
      const { data } = await ending(stream);
      assert.equal(headers[":status"], status);
      assert.equal((JSON.parse(data.toString()) as { error: { code: string } }).error.code, code);
      assert.ok(headers["turnabout-version"]);
      const closed = next(session, "close");
      session.close();
      await closed;
    });
  }

  for (const [instance, outcome] of [
    ["x", "connected"],
    ["y", "refused"],
  ] as const) {
    it(`compares the instance ${instance} with that of /hello, x: ${outcome}`, async () => {
      await using system = await startSystem({ agents: 0 });
      const { stream, session } = await extendedConnect(system, `${ENDPOINT}?runnerid=runner-1`, {
        "turnabout-instance": instance,
      });
      const refused = Promise.withResolvers<string>();
      const reversed = await serveReversed(new StreamCarrier(stream), (own) => {
        own.on("goaway", (_code, _last, data) => refused.resolve(String(data)));
        serveHello(own, ["runner-1"]);
      });
      const state = () => system.controlPlane.runners()[0]?.state;
      if (outcome === "connected") await eventually(() => state() === outcome, "the registration");
      else {
        assert.match(await within(refused.promise, "the refusal"), /"refused".*tunnel_protocol/);
        assert.equal(state(), undefined);
      }
      const closed = next(session, "close");
      reversed.destroy();
      session.close();
      await closed;
    });
  }

  it("has the control plane's reason in an agent's log if it is refused", async () => {
    await using system = await startSystem({ agents: 0 });
    await using agent = followAgent({ server: system.url, carrier: "h2", token: { value: "wrong" } });
    const { error } = await agent.failed();
    assert.match(error.message, /^h2: the control plane refused \(401\): /);
    assert.equal((error as { code?: unknown }).code, "unauthenticated");
  });
});

describe("the well-known path by an HTTP/1.1 upgrade", () => {
  for (const [what, upgrade, path, status] of [
    ["takes ptth for the origins behind it", "ptth", `/.well-known/ptth/${ORIGINS}/`, 101],
    ["takes ptth for runnerid", "ptth", "/.well-known/ptth/?runnerid=runner-1", 101],
    ["has no websocket", "websocket", "/.well-known/ptth/?runnerid=runner-1", 404],
    [
      "takes a comma that is percent-encoded",
      "ptth",
      `/.well-known/ptth/${ORIGINS.replaceAll(",", "%2C")}/`,
      101,
    ],
    ["takes no slash at its end", "ptth", "/.well-known/ptth?runnerid=runner-1", 101],
    ["ends where its name does", "ptth", "/.well-known/ptths?runnerid=runner-1", 404],
    ["needs a runner", "ptth", "/.well-known/ptth/", 400],
  ] as const) {
    it(what, async () => {
      await using system = await startSystem({ agents: 0 });
      const request = http.get(`${system.url}${path}`, {
        agent: false,
        headers: {
          connection: "Upgrade",
          upgrade,
          alpn: "h2, http%2F1.1",
          authorization: `Bearer ${ADMIN_TOKEN}`,
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          "sec-websocket-protocol": "turnabout.h2.v1",
        },
      });
      if (status !== 101) {
        const [response] = await next<[http.IncomingMessage]>(request, "response");
        assert.equal(response.statusCode, status);
        response.destroy();
        return;
      }
      const [response, socket, head] = await next<[http.IncomingMessage, Socket, Buffer]>(request, "upgrade");
      assert.equal(response.headers["alpn"], "h2");
      if (head.length > 0) socket.unshift(head);
      const session = await serveReversed(socket, (own) => serveHello(own, ["runner-1"]));
      await eventually(() => system.controlPlane.runners()[0]?.state === "connected", "the registration");
      const closed = next(session, "close");
      session.destroy();
      await closed;
    });
  }
});
