/** What a credential has opened is closed with it: within a second, and WebSockets with the reason. */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import type { ControlPlaneOptions } from "../../../../src/control/control-plane.ts";
import { hashToken } from "../../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../../src/control/auth/tokens.ts";
import { file } from "../../../support/agents.ts";
import { ending, eventually, next } from "../../../support/events.ts";
import type { Ending } from "../../../support/events.ts";
import { call, open } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { promptly, startStopwatch } from "../../../support/stopwatch.ts";
import { startHttpTarget } from "../../../support/target.ts";
import type { TestTarget } from "../../../support/target.ts";
import { tempPath } from "../../../support/temp.ts";
import { openSocket, SOCKET_KINDS } from "../moonlight-stand.ts";
import { api, issueToken } from "../../../support/api.ts";
import { connectAgent, listSessions, newSession, startSessions } from "../sessions-stand.ts";
import type { SessionStand, SessionView } from "../sessions-stand.ts";

afterEach(() => assertNothingOpen());

const AT_ONCE_MS = 1_000;

interface Stand extends AsyncDisposable {
  stand: SessionStand;
  url: string;
  session: SessionView;
  /** The sandbox: endless responses, and WebSockets that stay open. */
  target: TestTarget;
}

async function start(owner: string, controlPlane: ControlPlaneOptions = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const target = stack.use(
    await startHttpTarget((_request, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.write("endless ");
    }),
  );
  const sockets = new WebSocketServer({ server: target.http });
  stack.defer(() => {
    for (const socket of sockets.clients) socket.terminate();
  });
  const stand = stack.use(await startSessions({ helix: { moonlightCredentials: "x" }, controlPlane }));
  const session = await newSession(stand.url, { owner });
  await stand.system.addAgent({
    [session.runner]: { screenshot: target.address },
    "moonlight-a": { moonlight: target.address },
  });
  return { stand, url: stand.url, session, target, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Opened extends AsyncDisposable {
  /** How each of them has ended. */
  ends: Promise<Record<string, unknown>>;
}

/** One of each kind of stream that a user can open. */
async function openAll({ url, session }: Stand, token: string): Promise<Opened> {
  const stack = new AsyncDisposableStack();
  const ends: Record<string, Promise<unknown>> = {};
  const agent = `/api/v1/external-agents/${session.id}`;
  for (const kind of SOCKET_KINDS) {
    const paths = [`${agent}/ws/stream`, `/api/v1/runners/${session.runner}/targets/screenshot/ws`];
    if (kind === "RFC 8441") paths.push(`/api/v1/stream/${session.id}`); // one in three seconds
    for (const path of paths) {
      const socket = stack.use(await openSocket(kind, url, path, { token }));
      assert.ok(socket.status < 300, `${kind} ${path}: ${socket.status}`);
      ends[`WebSocket ${kind} ${path.split("/")[3]}`] = socket.closed;
    }
  }
  const download = await open(`${url}${agent}/screenshot`, { token });
  assert.equal(download.statusCode, 200);
  ends["download"] = ending(download).then(({ kind }) => kind);

  const events = await open(`${url}/api/v1/events`, { token });
  assert.equal(events.statusCode, 200);
  ends["events"] = ending(events).then(({ kind }) => kind);

  const proxy = http.request({
    host: "127.0.0.1",
    port: new URL(url).port,
    agent: false,
    method: "CONNECT",
    path: `screenshot.${session.runner}:80`,
    headers: { "proxy-authorization": `Bearer ${token}` },
  });
  proxy.end();
  const [response, tunnel] = await next<[http.IncomingMessage, Socket]>(proxy, "connect");
  assert.equal(response.statusCode, 200);
  ends["CONNECT on HTTP/1.1"] = ending(tunnel).then(({ kind }) => kind);

  const connection = http2.connect(url);
  connection.on("error", () => {}); // permanently
  stack.defer(async () => {
    const closed = next(connection, "close");
    connection.destroy();
    await closed;
  });
  const stream = connection.request({
    ":method": "CONNECT",
    ":authority": `screenshot.${session.runner}`,
    "proxy-authorization": `Bearer ${token}`,
  });
  const end: Promise<Ending> = ending(stream);
  const [headers] = await next<[http2.IncomingHttpStatusHeader]>(stream, "response");
  assert.equal(headers[":status"], 200);
  ends["CONNECT on HTTP/2"] = end.then(({ kind }) => kind);

  const names = Object.keys(ends);
  return {
    ends: Promise.all(Object.values(ends)).then((values) =>
      Object.fromEntries(names.map((name, i) => [name, values[i]])),
    ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const REVOKED = { code: 1008, reason: "the credential has been revoked" };
const ENDED = { code: 1001, reason: "the session has ended" };

function allEnded(close: object): object {
  return {
    "WebSocket HTTP/1.1 Upgrade external-agents": close,
    "WebSocket HTTP/1.1 Upgrade runners": close,
    "WebSocket RFC 8441 external-agents": close,
    "WebSocket RFC 8441 runners": close,
    "WebSocket RFC 8441 stream": close,
    download: "error",
    events: "end",
    "CONNECT on HTTP/1.1": "error",
    "CONNECT on HTTP/2": "error",
  };
}

describe("revoking a user's token", () => {
  it("closes what it has opened, and nothing of another token of the same user", async () => {
    await using stand = await start("alice");
    const { url, session } = stand;
    const first = await issueToken(url, { id: "alice-1", kind: "user", owner: "alice" });
    const second = await issueToken(url, { id: "alice-2", kind: "user", owner: "alice" });
    await using opened = await openAll(stand, first);
    const path = `/api/v1/external-agents/${session.id}/ws/input`;
    await using other = await openSocket("HTTP/1.1 Upgrade", url, path, { token: second });
    const stopwatch = startStopwatch();
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/alice-1")).status, 204);
    assert.deepEqual(await opened.ends, allEnded(REVOKED));
    assert.ok(stopwatch.elapsedMs() < AT_ONCE_MS);
    assert.equal((await api(url, "GET", "/api/v1/sessions", { token: first })).status, 401);
    assert.equal((await api(url, "GET", "/api/v1/sessions", { token: second })).status, 200);
    other.close(1000, "still there until now");
    assert.equal((await other.closed)?.code, 1000);
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/alice-1")).code, "not_found");
  });

  it("happens, too, when it expires", async () => {
    await using stand = await start("alice");
    const token = await issueToken(stand.url, { id: "alice", kind: "user", expires_in_s: 2 });
    await using opened = await openAll(stand, token);
    assert.deepEqual(await opened.ends, allEnded(REVOKED));
    assert.equal((await api(stand.url, "GET", "/api/v1/sessions", { token })).status, 401);
    // Its id can be used again.
    await issueToken(stand.url, { id: "alice", kind: "user" });
    const again = await api(stand.url, "POST", "/api/v1/tokens", { json: { id: "alice", kind: "user" } });
    assert.deepEqual([again.status, again.code], [409, "already_exists"]);
  });

  it("leaves the user's sandboxes, also when it was the last one: the next token of the owner reaches them", async () => {
    await using stand = await start("alice");
    const { url, session } = stand;
    const only = await issueToken(url, { id: "login-1", kind: "user", owner: "alice" });
    await using opened = await openAll(stand, only);
    await api(url, "DELETE", "/api/v1/tokens/login-1");
    assert.deepEqual(await opened.ends, allEnded(REVOKED));
    const next = await issueToken(url, { id: "login-2", kind: "user", owner: "alice" });
    const [found] = await listSessions(url, next);
    assert.deepEqual([found?.id, found?.state, found?.runner_state], [session.id, "running", "connected"]);
    const path = `/api/v1/external-agents/${session.id}/ws/input`;
    await using socket = await openSocket("HTTP/1.1 Upgrade", url, path, { token: next });
    assert.equal(socket.status, 101);
  });

  it("ends the user's sandboxes where the operator bounds the time without any, and no other's", async () => {
    await using stand = await startSessions({ helix: { abandonedSessionMs: 300 } });
    const { url } = stand;
    const alice = await issueToken(url, { id: "alice", kind: "user" });
    const bob = await issueToken(url, { id: "bob-1", kind: "user", owner: "bob" });
    await issueToken(url, { id: "bob-2", kind: "user", owner: "bob" });
    const [hers, his] = [await newSession(url, {}, alice), await newSession(url, {}, bob)];
    const ours = await newSession(url);
    for (const id of ["alice", "bob-1"]) await api(url, "DELETE", `/api/v1/tokens/${id}`);
    await stand.event("session-ended", hers.id);
    assert.deepEqual(
      (await listSessions(url)).map(({ id }) => id),
      [his.id, ours.id],
    );
  });

  it("ends event streams that are not read, too", async () => {
    await using stand = await start("alice");
    const token = await issueToken(stand.url, { id: "alice", kind: "user" });
    const events = await open(`${stand.url}/api/v1/events`, { token });
    events.pause();
    const closed = next(events.socket, "close");
    assert.equal((await api(stand.url, "DELETE", "/api/v1/tokens/alice")).status, 204);
    events.resume();
    await promptly(closed, "its end", AT_ONCE_MS);
  });
});

describe("deleting a session", () => {
  it("closes all streams to its sandbox, and the tunnel connection of its sandbox, but nothing else of its owner", async () => {
    await using stand = await start("alice");
    const { url, session } = stand;
    const token = await issueToken(url, { id: "alice", kind: "user" });
    await using opened = await openAll(stand, token);
    const env = stand.stand.wolf("a").state.lobbies[0]?.runner["env"] as string[];
    const secret = env.find((entry) => entry.startsWith("USER_API_TOKEN="))?.slice(15) ?? "";
    const stopwatch = startStopwatch();
    assert.equal((await api(url, "DELETE", `/api/v1/sessions/${session.id}`, { token })).status, 204);
    // Event streams belong to the user, not to the session.
    const stillOpen = Promise.race([opened.ends, Promise.resolve("open")]);
    assert.equal(await stillOpen, "open");
    await eventually(() => stand.target.sockets.size === 0, "every connection of the sandbox");
    assert.ok(stopwatch.elapsedMs() < AT_ONCE_MS);
    await api(url, "DELETE", "/api/v1/tokens/alice");
    assert.deepEqual(await opened.ends, allEnded(ENDED));
    const refused = await call(`${url}/api/v1/revdial?runnerid=${session.runner}`, { token: secret });
    assert.equal(refused.status, 401, "its token has been revoked");
  });
});

describe("deleting an owner", () => {
  it("revokes the owner's tokens and deletes the sessions, and no others", async () => {
    await using stand = await start("alice");
    const { url, session } = stand;
    const alice = await issueToken(url, { id: "alice", kind: "user" });
    await issueToken(url, { id: "alice-laptop", kind: "user", owner: "alice" });
    const bob = await issueToken(url, { id: "bob", kind: "user" });
    await issueToken(url, { id: "runner-alice", kind: "runner", owner: "alice", runners: ["x"] });
    const his = await newSession(url, {}, bob);
    await using opened = await openAll(stand, alice);
    const stopwatch = startStopwatch();
    const response = await api(url, "DELETE", "/api/v1/tokens?owner=alice");
    assert.deepEqual([response.status, response.body], [200, { tokens: 2, sessions: 1 }]);
    assert.deepEqual(await opened.ends, allEnded(REVOKED));
    assert.ok(stopwatch.elapsedMs() < AT_ONCE_MS);
    assert.deepEqual(
      (await listSessions(url)).map(({ id }) => id),
      [his.id],
    );
    const tokens = (await api(url, "GET", "/api/v1/tokens")).body as { tokens: { id: string }[] };
    assert.deepEqual(
      tokens.tokens.map(({ id }) => id),
      [`session-${his.id}`, "bob", "runner-alice"].toSorted(
        (a, b) =>
          tokens.tokens.findIndex(({ id }) => id === a) - tokens.tokens.findIndex(({ id }) => id === b),
      ),
    );
    assert.equal((await api(url, "GET", `/api/v1/sessions/${session.id}`)).status, 404);
    assert.deepEqual((await api(url, "DELETE", "/api/v1/tokens?owner=alice")).body, {
      tokens: 0,
      sessions: 0,
    });
    assert.equal((await api(url, "DELETE", "/api/v1/tokens")).code, "bad_request");
  });
});

describe("revoking a runner's token", () => {
  it("closes its agent's connections and all their streams", async () => {
    await using stand = await start("alice");
    const { url } = stand;
    const token = await issueToken(url, { id: "web", kind: "runner", runners: ["web-*"] });
    await using agent = await connectAgent(url, {
      runners: { "web-1": { web: stand.target.address } },
      token: { value: token },
      connections: 2,
    });
    const from = stand.stand.events.length;
    await eventually(() => agent.connections === 2, "both connections");
    const download = await open(`${url}/api/v1/runners/web-1/targets/web/`);
    const end = ending(download);
    const stopwatch = startStopwatch();
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/web")).status, 204);
    await stand.stand.event("lost", "web-1", from);
    assert.equal((await end).kind, "error");
    assert.ok(stopwatch.elapsedMs() < AT_ONCE_MS);
  });

  it("closes an agent connection that is still being admitted", async () => {
    await using stand = await startSessions({ agents: false });
    const { url } = stand;
    const token = await issueToken(url, { id: "slow", kind: "runner", runners: ["slow"] });
    // An agent that delays its response to /hello: so far only the 101 and the HTTP/2 preface have been sent.
    const request = http.request(`${url}/api/v1/revdial?runnerid=slow`, {
      agent: false,
      headers: { connection: "Upgrade", upgrade: "ptth", alpn: "h2", authorization: `Bearer ${token}` },
    });
    request.end();
    const [, socket, head] = await next<[unknown, Socket, Buffer]>(request, "upgrade");
    socket.unshift(head);
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/slow")).status, 204);
    const session = http2.performServerHandshake(socket);
    session.on("error", () => {}); // permanently
    session.on("stream", (stream) => {
      stream.on("error", () => {}); // permanently
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end(
        JSON.stringify({
          protocol: 1,
          version: "test",
          instance: "slow-agent",
          bootEpochMs: 1,
          capabilities: [],
          runners: [{ id: "slow", targets: [{ name: "web", http: "auto" }] }],
        }),
      );
    });
    const [, , data] = await next<[number, number, Buffer]>(session, "goaway");
    assert.match(data.toString(), /unauthenticated/);
    assert.deepEqual(stand.system.controlPlane.runners(), []);
    const closed = next(session, "close");
    session.destroy();
    await closed;
  });
});

describe("a request that waits for a sandbox", () => {
  for (const kind of SOCKET_KINDS) {
    it(`for a WebSocket by ${kind} ends with its credential and with its session`, async () => {
      await using stand = await startSessions();
      const { url } = stand;
      for (const [undo, name] of [
        ["tokens/alice", "alice"],
        ["sessions/", "bob"],
      ] as const) {
        const token = await issueToken(url, { id: name, kind: "user" });
        const session = await newSession(url, {}, token);
        const path = `/api/v1/external-agents/${session.id}/ws/stream`;
        const opening = openSocket(kind, url, path, { token, headers: { prefer: "wait=60" } });
        await waiting(url, 1);
        const suffix = undo.endsWith("/") ? session.id : "";
        assert.equal((await api(url, "DELETE", `/api/v1/${undo}${suffix}`)).status, 204);
        await using socket = await promptly(opening, "its refusal", AT_ONCE_MS);
        assert.equal(socket.status, 403);
        await waiting(url, 0);
      }
    });
  }

  it("for a session is refused if the credential is revoked while its body arrives", async () => {
    await using stand = await startSessions();
    const { url } = stand;
    const token = await issueToken(url, { id: "alice", kind: "user" });
    const request = http.request(`${url}/api/v1/sessions`, {
      agent: false,
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "content-length": 2 },
    });
    const responded = next<[http.IncomingMessage]>(request, "response");
    request.write("{");
    await eventually(() => (request.socket?.bytesWritten ?? 0) > 100, "the header");
    await api(url, "GET", "/readyz"); // handled after it
    await api(url, "DELETE", "/api/v1/tokens/alice");
    request.end("}");
    const [response] = await responded;
    response.resume();
    assert.equal(response.statusCode, 401);
    await next(response, "close");
    assert.deepEqual(await listSessions(url), []);
  });

  it("for a response, or by CONNECT, ends with its credential", async () => {
    await using stand = await startSessions();
    const { url } = stand;
    const token = await issueToken(url, { id: "alice", kind: "user" });
    const session = await newSession(url, {}, token);
    const screenshot = call(`${url}/api/v1/external-agents/${session.id}/screenshot`, {
      token,
      headers: { prefer: "wait=60" },
    });
    const proxy = http.request({
      host: "127.0.0.1",
      port: new URL(url).port,
      agent: false,
      method: "CONNECT",
      path: `screenshot.${session.runner}:80`,
      headers: { "proxy-authorization": `Bearer ${token}`, prefer: "wait=60" },
    });
    proxy.end();
    const connect = next<[http.IncomingMessage, Socket]>(proxy, "connect");
    await waiting(url, 2);
    await api(url, "DELETE", "/api/v1/tokens/alice");
    assert.equal((await promptly(screenshot, "its refusal", AT_ONCE_MS)).status, 403);
    const [response, socket] = await promptly(connect, "its refusal", AT_ONCE_MS);
    assert.equal(response.statusCode, 403);
    const closed = next(socket, "close");
    socket.resume();
    await closed;
  });
});

/** Waits until so many dials wait for a runner. */
async function waiting(url: string, count: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { body } = await call(`${url}/metrics`);
    const [, text] = /^turnabout_waiting_dials (\d+)$/m.exec(body) ?? [];
    if (Number(text) === count) return;
    if (performance.now() > deadline) throw new Error(`${text} dials wait, not ${count}`);
  }
}

describe("tokens of the token file", () => {
  const entry = (id: string, secret: string, more: object = {}) => ({
    id,
    kind: "user",
    sha256: hashToken(secret),
    ...more,
  });
  const status = async (url: string, token: string) =>
    (await api(url, "GET", "/api/v1/sessions", { token })).status;

  it("are revoked with their owner, permanently, until the entry has another token", async () => {
    const dataDirectory = mkdtempSync(tempPath("-"));
    const bob = entry("bob", "bobs");
    const laptop = entry("laptop", "one", { owner: "alice" });
    const path = file(JSON.stringify({ tokens: [laptop, entry("alice", "two"), bob] }));
    const option: TokenRecord = {
      id: "option",
      kind: "user",
      sha256: hashToken("three"),
      owner: "alice",
      runners: [],
    };
    const options = { tokenFile: path, dataDirectory, tokens: [option] };
    const everyStatus = (url: string) =>
      Promise.all(["one", "two", "three", "bobs"].map((token) => status(url, token)));
    {
      await using stand = await start("alice", options);
      const { url } = stand;
      await using opened = await openAll(stand, "one");
      assert.deepEqual(await everyStatus(url), [200, 200, 200, 200]);
      const response = await api(url, "DELETE", "/api/v1/tokens?owner=alice");
      assert.deepEqual([response.status, response.body], [200, { tokens: 3, sessions: 1 }]);
      assert.deepEqual(await opened.ends, allEnded(REVOKED));
      assert.deepEqual(await everyStatus(url), [401, 401, 401, 200]);
      const again = await api(url, "DELETE", "/api/v1/tokens?owner=alice");
      assert.deepEqual(again.body, { tokens: 0, sessions: 0 });
    }
    writeFileSync(path, JSON.stringify({ tokens: [laptop, entry("alice", "four"), bob] }));
    await using stand = await start("bob", options);
    assert.deepEqual(await everyStatus(stand.url), [401, 401, 401, 200], "after a restart");
    assert.equal(await status(stand.url, "four"), 200, "a new token of the same id");
  });

  it("are revoked by their ids", async () => {
    const path = file(JSON.stringify({ tokens: [entry("alice", "one"), entry("bob", "two")] }));
    await using stand = await start("alice", { tokenFile: path });
    assert.equal((await api(stand.url, "DELETE", "/api/v1/tokens/alice")).status, 204);
    assert.deepEqual([await status(stand.url, "one"), await status(stand.url, "two")], [401, 200]);
    for (const id of ["alice", "admin", "nobody"]) {
      assert.equal((await api(stand.url, "DELETE", `/api/v1/tokens/${id}`)).status, 404, id);
    }
  });
});

describe("owners in the token file", () => {
  it("share their sessions, and a token that changes its owner loses what it has opened", async () => {
    const entry = (id: string, owner: string) => ({
      id,
      kind: "user",
      sha256: hashToken(`secret-of-${id}`),
      owner,
    });
    const path = file(JSON.stringify({ tokens: [entry("laptop", "alice"), entry("phone", "alice")] }));
    await using stand = await start("alice", { tokenFile: path });
    const { url, session } = stand;
    for (const token of ["secret-of-laptop", "secret-of-phone"]) {
      assert.deepEqual(
        (await listSessions(url, token)).map(({ id }) => id),
        [session.id],
      );
    }
    const made = await newSession(url, {}, "secret-of-phone");
    assert.equal(made.owner, "alice");
    await using opened = await openAll(stand, "secret-of-phone");
    const ws = `/api/v1/external-agents/${session.id}/ws/input`;
    await using kept = await openSocket("HTTP/1.1 Upgrade", url, ws, { token: "secret-of-laptop" });
    const draft = tempPath(".json");
    writeFileSync(draft, JSON.stringify({ tokens: [entry("laptop", "alice"), entry("phone", "carol")] }));
    renameSync(draft, path);
    assert.deepEqual(await opened.ends, allEnded(REVOKED));
    assert.deepEqual(await listSessions(url, "secret-of-phone"), []);
    kept.close(1000, "");
    assert.equal((await kept.closed)?.code, 1000);
  });
});
