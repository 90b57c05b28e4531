/** The places of a credential, and that it reaches no target and no log. */
import assert from "node:assert/strict";
import type { OutgoingHttpHeaders } from "node:http";
import { afterEach, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import type { ControlPlaneOptions } from "../../../../src/control/control-plane.ts";
import { keptLog } from "../../../support/agents.ts";
import { errorCode, openCaller, PLAINTEXT_CALLERS } from "../../../support/callers.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { startHttpTarget } from "../../../support/target.ts";
import type { TestTarget } from "../../../support/target.ts";
import { openSocket, openTap, SOCKET_KINDS } from "../moonlight-stand.ts";
import type { Tap } from "../moonlight-stand.ts";
import { api, issueToken } from "../../../support/api.ts";
import { listSessions, newSession, startSessions } from "../sessions-stand.ts";
import type { SessionStand, SessionView } from "../sessions-stand.ts";

afterEach(() => assertNothingOpen());

interface Stand extends AsyncDisposable {
  stand: SessionStand;
  url: string;
  alice: string;
  session: SessionView;
  target: TestTarget;
  tap: Tap;
}

/** Alice's session, whose sandbox responds to every request and opens every WebSocket. */
async function start(controlPlane: ControlPlaneOptions = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const target = stack.use(await startHttpTarget((_request, response) => response.end("reached")));
  const sockets = new WebSocketServer({ server: target.http });
  stack.defer(() => {
    for (const socket of sockets.clients) socket.terminate();
  });
  const tap = stack.use(await openTap(Number(target.address.split(":")[1])));
  const stand = stack.use(await startSessions({ controlPlane }));
  const alice = await issueToken(stand.url, { id: "alice", kind: "user" });
  const session = await newSession(stand.url, {}, alice);
  await stand.system.addAgent({ [session.runner]: { screenshot: `127.0.0.1:${tap.port}` } });
  return {
    stand,
    url: stand.url,
    alice,
    session,
    target,
    tap,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const ALLOWED = "https://helix.example";

describe("a token in a cookie", () => {
  for (const kind of PLAINTEXT_CALLERS) {
    it(`is accepted for unsafe requests only from our own and allowed origins, over ${kind}`, async () => {
      await using stand = await start({ allowedOrigins: [ALLOWED] });
      const { url, alice } = stand;
      await using caller = await openCaller(kind, stand.stand.system);
      const cookie = `theme=dark; access_token=${alice}`;
      const ask = async (method: string, path: string, headers: OutgoingHttpHeaders) => {
        const isPost = method === "POST";
        const response = await caller.call({
          method,
          path,
          headers: {
            authorization: undefined,
            cookie,
            ...(isPost && { "content-type": "application/json" }),
            ...headers,
          },
          ...(isPost && { body: "{}" }),
        });
        return response.status < 400
          ? String(response.status)
          : `${response.status} ${errorCode(response.text)}`;
      };
      const path = "/api/v1/sessions";
      assert.equal(await ask("GET", path, {}), "200", "safe requests need no origin");
      assert.equal(await ask("GET", path, { origin: "https://evil.example" }), "200", "and CORS guards it");
      assert.equal(await ask("POST", path, { origin: url }), "201", "our own");
      assert.equal(await ask("POST", path, { origin: ALLOWED }), "201");
      const port = new URL(url).port;
      for (const origin of [
        undefined,
        "null",
        "",
        "https://evil.example",
        `${ALLOWED}.evil.example`,
        `${ALLOWED}:8443`,
        `${ALLOWED}/`,
        "http://helix.example",
        `http://127.0.0.1:${port}1`,
        `http://127.0.0.1.evil.example:${port}`,
        `http://evil.example/127.0.0.1:${port}`,
      ]) {
        const headers = origin === undefined ? {} : { origin };
        assert.equal(await ask("POST", path, headers), "403 origin_not_allowed", String(origin));
        const target = `/api/v1/runners/${stand.session.runner}/targets/screenshot/x`;
        assert.equal(await ask("POST", target, headers), "403 origin_not_allowed", `${origin} to a target`);
        assert.equal(await ask("DELETE", `${path}/${stand.session.id}`, headers), "403 origin_not_allowed");
      }
      assert.equal(
        await ask("POST", path, { authorization: `Bearer ${alice}`, origin: "https://evil.example" }),
        "201",
        "a header is not sent by accident",
      );
      assert.equal((await listSessions(url)).length, 4);
    });
  }

  for (const kind of SOCKET_KINDS) {
    it(`opens a WebSocket only for our own and allowed origins, by ${kind}`, async () => {
      await using stand = await start({ allowedOrigins: [ALLOWED] });
      const { url, alice, session, tap } = stand;
      const path = `/api/v1/external-agents/${session.id}/ws/input`;
      for (const [origin, status] of [
        [undefined, 403],
        ["null", 403],
        ["https://evil.example", 403],
        [`${ALLOWED}.evil.example`, 403],
        [url, kind === "RFC 8441" ? 200 : 101],
        [ALLOWED, kind === "RFC 8441" ? 200 : 101],
      ] as const) {
        const headers = { cookie: `access_token=${alice}; x=y`, ...(origin !== undefined && { origin }) };
        await using socket = await openSocket(kind, url, path, { headers });
        assert.equal(socket.status, status, String(origin));
        if (status === 403) assert.equal(errorCode(socket.body), "origin_not_allowed");
      }
      assert.equal(tap.connections, 2);
    });
  }
});

describe("a token in the query", () => {
  it("is accepted on WebSockets only, and only where no other credential is present", async () => {
    await using stand = await start();
    const { url, alice, session } = stand;
    const path = `/api/v1/external-agents/${session.id}`;
    for (const [where, headers, status] of [
      [`${path}/screenshot?access_token=${alice}`, {}, 401],
      [`/api/v1/sessions?access_token=${alice}`, {}, 401],
      [`/api/v1/events?access_token=${alice}`, {}, 401],
      [`${path}/screenshot?access_token=nonsense`, { authorization: `Bearer ${alice}` }, 200],
    ] as const) {
      assert.equal((await api(url, "GET", where, { token: null, headers })).status, status, where);
    }
    for (const kind of SOCKET_KINDS) {
      const open = kind === "RFC 8441" ? 200 : 101;
      for (const [query, headers, status] of [
        [`access_token=${alice}`, {}, open],
        [`a=1&access_token=${alice}&b=2`, {}, open],
        [`access%5Ftoken=${alice}`, {}, open],
        ["access_token=nonsense", {}, 401],
        ["access_token=", {}, 401],
        ["", {}, 401],
        [`access_token=${alice}`, { authorization: "Bearer nonsense" }, 401],
        [`access_token=${alice}`, { authorization: "Basic bm9wZTpub3Bl" }, open],
        [`access_token=${alice}`, { cookie: "access_token=nonsense", origin: url }, 401],
        ["access_token=nonsense", { "x-api-key": alice }, open],
      ] as const) {
        await using socket = await openSocket(kind, url, `${path}/ws/stream?${query}`, {
          headers: { ...headers },
        });
        assert.equal(socket.status, status, `${kind} ${query} ${JSON.stringify(headers)}`);
      }
    }
    assert.ok(!stand.tap.toService().includes(alice), "the target has not seen it");
    const left =
      stand.tap
        .toService()
        .toString("latin1")
        .match(/access(?:_|%5F)token=\w*/g) ?? [];
    assert.ok(
      left.every((parameter) => parameter === "access_token=nonsense"),
      "nor a trace of it",
    );
    assert.match(stand.tap.toService().toString("latin1"), /GET \/ws\/stream\?a=1&b=2 HTTP/);
  });
});

describe("a caller's credential", () => {
  it("reaches neither a target nor a log, in any place", async () => {
    const { log, lines } = keptLog();
    await using stand = await start({ log });
    const { url, alice, session, tap } = stand;
    const { system } = stand.stand;
    const wolfPath = "/api/v1/wolf/lobbies?wolf_instance_id=a";
    const admin = await issueToken(url, { id: "other-admin", kind: "admin" });
    const everywhere = (token: string): OutgoingHttpHeaders => ({
      authorization: `Bearer ${token}`,
      "x-api-key": token,
      cookie: `a=1; access_token=${token}; b=2`,
      "proxy-authorization": `Bearer ${token}`,
    });
    for (const kind of PLAINTEXT_CALLERS) {
      await using caller = await openCaller(kind, system);
      for (const path of [
        `/api/v1/runners/${session.runner}/targets/screenshot/x?q=1&access_token=${alice}`,
        `/api/v1/external-agents/${session.id}/screenshot?access_token=${alice}&q=1`,
        `/api/v1/external-agents/${session.id}/nothing?access_token=${alice}&q=1`,
      ]) {
        await caller.call({ path, headers: everywhere(alice) });
      }
      await caller.call({ path: `${wolfPath}&access_token=${admin}`, headers: everywhere(admin) });
      await caller.call({
        path: `/api/v1/sessions?access_token=${alice}`,
        headers: { authorization: undefined },
      });
    }
    for (const kind of SOCKET_KINDS) {
      const path = `/api/v1/runners/${session.runner}/targets/screenshot/ws?access_token=${alice}&q=1`;
      const headers = { cookie: `a=1; access_token=${alice}; b=2`, "x-api-key": alice };
      for (const where of [path, `/nowhere?access_token=${alice}`]) {
        await using socket = await openSocket(kind, url, where, { headers });
        assert.notEqual(socket.status, 401);
      }
    }
    const seen = tap.toService().toString("latin1");
    assert.ok(seen.includes("cookie: a=1; b=2"), "other cookies are the target's");
    assert.ok(seen.includes("q=1"));
    const wolf = JSON.stringify(
      stand.stand
        .wolf("a")
        .requests.map(({ headers, ...request }) => ({ ...request, headers: [...headers] })),
    );
    assert.match(wolf, /"path":"\/api\/v1\/lobbies","query":""/);
    assert.match(wolf, /"x-forwarded-proto"/);
    const logged = JSON.stringify(lines.all);
    assert.ok(lines.length > 4, "it does log");
    for (const token of [alice, admin]) {
      assert.ok(!seen.includes(token), "the sandbox has not seen it");
      assert.ok(!wolf.includes(token), "Wolf has not seen it");
      assert.ok(!logged.includes(token), "the log has not seen it");
    }
    assert.ok(!/authorization|x-api-key/i.test(seen));
  });

  it("for the forward proxy is removed, and the target's own passes", async () => {
    await using stand = await start();
    const { alice, session, tap } = stand;
    // HTTP/2 has no absolute form; its CONNECT carries bytes.
    await using caller = await openCaller("HTTP/1.1", stand.stand.system);
    const response = await caller.call({
      path: `http://screenshot.${session.runner}/x?access_token=its-own`,
      headers: {
        authorization: "Bearer its-own",
        cookie: "access_token=its-own",
        "proxy-authorization": `Basic ${Buffer.from(`any:${alice}`).toString("base64")}`,
      },
    });
    assert.equal(response.text, "reached");
    const seen = tap.toService().toString("latin1");
    assert.match(seen, /authorization: Bearer its-own/);
    assert.match(seen, /cookie: access_token=its-own/);
    assert.match(seen, /^GET \/x\?access_token=its-own HTTP/m);
    assert.ok(!seen.includes(alice) && !/proxy-authorization/i.test(seen));
  });
});
