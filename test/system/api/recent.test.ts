/** What was: requests that have ended last, figures of an hour, connects and losses of runners, acts of administrators. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { api, issueToken } from "../../support/api.ts";
import { keptLog } from "../../support/agents.ts";
import { via } from "../../support/callers.ts";
import { call, runnersUntil } from "../../support/http.ts";
import type { RunnerListing } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusingAddress, startHttpTarget } from "../../support/target.ts";

after(() => assertNothingOpen());

interface Recent {
  seq: number;
  id: string;
  way: string;
  path?: string;
  status?: number;
  code: string;
  credential?: string;
  owner?: string;
  phase?: string;
  reason?: string;
  errno?: string;
  queueMs?: number;
  dialMs?: number;
  firstByteMs?: number;
  totalMs?: number;
}

async function recent(
  url: string,
  query: string,
  token?: string,
): Promise<{ requests: Recent[]; next: number }> {
  const options = token === undefined ? {} : { token };
  const { status, body } = await api(url, "GET", `/api/v1/requests?${query}`, options);
  assert.equal(status, 200, JSON.stringify(body));
  return body as { requests: Recent[]; next: number };
}

const startPage = () =>
  startHttpTarget((request, response) => response.writeHead(request.url === "/bad" ? 500 : 200).end("page"));

describe("recent requests", () => {
  it("have their timings and why they failed, the latest first, without an access log", async () => {
    await using system = await startSystem({ target: await startPage() });
    const { url } = system;
    await system.addAgent({ broken: { web: await refusingAddress() } });
    await call(`${url}${via("/first?key=secret")}`);
    await call(`${url}${via("/bad")}`);
    const failed = await call(`${url}${via("/x", "web", "broken")}`);
    await call(`${url}${via("/x", "none", "nobody")}`);
    const { requests, next } = await recent(url, "way=route,websocket");
    assert.deepEqual(
      requests.map(({ code, status, phase }) => [code, status, phase]),
      [
        ["runner_unknown", 404, "runner"],
        ["target_refused", 502, "connect"],
        ["ok", 500, undefined],
        ["ok", 200, undefined],
      ],
    );
    const [, refused, , first] = requests;
    assert.deepEqual([refused?.errno, refused?.id], ["ECONNREFUSED", failed.headers["x-request-id"]]);
    assert.match(refused?.reason ?? "", /broken web/);
    assert.equal(first?.path, via("/first?key=*"));
    for (const ms of [first.queueMs, first.dialMs, first.firstByteMs, first.totalMs])
      assert.ok((ms ?? -1) >= 0);
    const one = await api(url, "GET", `/api/v1/requests/${refused?.id}`);
    assert.deepEqual(one.body, refused);
    await call(`${url}${via("/later")}`);
    const later = await recent(url, `way=route&after=${next}`);
    assert.deepEqual(
      later.requests.map(({ path }) => path),
      [via("/later")],
    );
    assert.equal((await recent(url, `way=route&before=${first.seq}`)).requests.length, 0);
    assert.equal((await recent(url, "way=route&limit=2")).requests.length, 2);
    assert.equal(
      (await recent(url, "code=target_refused&runner=br*&target=web&status=5xx")).requests.length,
      1,
    );
  });

  it("are a user's own for a user, without the reason; a runner's token gets none", async () => {
    await using system = await startSystem({ target: await startPage() });
    const { url } = system;
    await system.addAgent({ broken: { web: await refusingAddress() } });
    const alice = await issueToken(url, { id: "alice", kind: "user", runners: ["*"] });
    const host = await issueToken(url, { id: "host", kind: "runner", runners: ["x"] });
    const admins = await call(`${url}${via("/admins")}`);
    await call(`${url}${via("/alices", "web", "broken")}`, { token: alice });
    const { requests } = await recent(url, "way=route", alice);
    assert.deepEqual(
      requests.map(({ credential, reason, errno, phase }) => [credential, reason, errno, phase]),
      [["alice", undefined, undefined, "connect"]],
    );
    const hidden = await api(url, "GET", `/api/v1/requests/${String(admins.headers["x-request-id"])}`, {
      token: alice,
    });
    assert.equal(hidden.code, "not_found");
    assert.equal((await api(url, "GET", "/api/v1/requests", { token: host })).code, "not_allowed");
    for (const wrong of ["limit=0", "limit=1001", "after=-1", "status=9xx", "way=a,,b"])
      assert.equal((await api(url, "GET", `/api/v1/requests?${wrong}`)).code, "bad_request", wrong);
  });
});

describe("a refusal of a valid credential", () => {
  it("is among the user's own, with where it would have gone, and is no figure of the target", async () => {
    await using system = await startSystem({ target: await startPage() });
    const { url, controlPlane } = system;
    const token = await issueToken(url, { id: "alice", kind: "user", runners: ["hers"] });
    const host = `Host: x\r\nProxy-Authorization: Bearer ${token}\r\n`;
    const authority = `${TARGET}.${RUNNER}`;
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    const route = await call(`${url}${via("/")}`, { token });
    assert.equal(route.status, 403);
    for (const head of [
      `CONNECT ${authority} HTTP/1.1\r\n${host}`,
      `GET http://${authority}/ HTTP/1.1\r\n${host}Connection: close\r\n`,
      `GET ${via("/ws")} HTTP/1.1\r\n${host.replace("Proxy-", "")}${upgrade}Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n`,
    ]) {
      const { text } = await exchangeRaw(controlPlane.port, `${head}\r\n`);
      assert.match(text, /^HTTP\/1\.1 403 /);
    }
    const own = await api(url, "GET", `/api/v1/requests/${String(route.headers["x-request-id"])}`, { token });
    assert.equal(own.status, 200);
    const { requests } = await recent(url, `runner=${RUNNER}&target=${TARGET}&code=not_allowed`, token);
    assert.deepEqual(requests.map(({ way, credential, owner }) => [way, credential, owner]).toReversed(), [
      ["route", "alice", "alice"],
      ["connect", "alice", "alice"],
      ["forward-proxy", "alice", "alice"],
      ["websocket", "alice", "alice"],
    ]);
    const { body } = await call(`${url}/metrics`);
    assert.doesNotMatch(body, /turnabout_target_\w+\{[^}]*runner="(?!other)/);
    for (const each of [token, ADMIN_TOKEN]) {
      const quotes = `GET /api/v1/runners/a","forged":"b/targets/y/ HTTP/1.1\r\nAuthorization: Bearer ${each}\r\n`;
      await exchangeRaw(controlPlane.port, `${quotes}Host: x\r\nConnection: close\r\n\r\n`);
      const [latest] = (await recent(url, "way=route&limit=1")).requests;
      assert.match(latest?.path ?? "", /a","forged":"b/);
      assert.equal(Object.hasOwn(latest ?? {}, "forged"), false, "a member that the caller has written");
    }
  });
});

describe("the history of a runner", () => {
  it("has its connects and losses with their reasons; credentials and addresses are for admins", async () => {
    await using system = await startSystem();
    const { url, controlPlane } = system;
    const alice = await issueToken(url, { id: "alice", kind: "user", runners: ["*"] });
    const bob = await issueToken(url, { id: "bob", kind: "user" });
    const before = controlPlane.runners()[0]?.connections[0]?.id;
    assert.equal((await api(url, "DELETE", `/api/v1/runners/${RUNNER}`)).status, 204);
    const isBack = ([runner]: RunnerListing[]): boolean => {
      const id = runner?.connections[0]?.id;
      return id !== undefined && id !== before;
    };
    await runnersUntil(url, isBack, "it is back");
    const path = `/api/v1/runners/${RUNNER}/history`;
    const { body } = await api(url, "GET", path);
    const { events } = body as { events: Record<string, unknown>[] };
    assert.deepEqual(
      events.map(({ type }) => type),
      ["connected", "lost", "connected"],
    );
    const [, lost, first] = events;
    assert.deepEqual(
      [lost?.["connection"], lost?.["reason"], lost?.["credential"], lost?.["peer"]],
      [first?.["connection"], "an operator closed the connection", "admin", "127.0.0.1"],
    );
    assert.ok(Number(lost?.["lastedMs"]) >= 0);
    const seen = await api(url, "GET", path, { token: alice });
    assert.equal(seen.status, 200);
    assert.ok(!/"(?:credential|peer)"/.test(JSON.stringify(seen.body)));
    assert.equal((await api(url, "GET", path, { token: bob })).code, "runner_unknown");
    const { body: runner } = await api(url, "GET", `/api/v1/runners/${RUNNER}`);
    const { credential, connections } = runner as { credential: string; connections: { bytes: number }[] };
    assert.equal(credential, "admin");
    assert.ok((connections[0]?.bytes ?? 0) > 0);
    const { body: shown } = await api(url, "GET", `/api/v1/runners/${RUNNER}`, { token: alice });
    assert.equal((shown as { credential: null }).credential, null);
  });
});

describe("the audit trail", () => {
  it("has what administrators have done, in the log too, and no secret", async () => {
    const { log, lines } = keptLog();
    await using system = await startSystem({ controlPlane: { log } });
    const { url } = system;
    const secret = await issueToken(url, { id: "alice", kind: "user", owner: "alice@x" });
    await api(url, "DELETE", "/api/v1/tokens/alice");
    await api(url, "DELETE", "/api/v1/tokens?owner=nobody");
    await api(url, "DELETE", `/api/v1/runners/${RUNNER}`);
    const { body } = await api(url, "GET", "/api/v1/audit");
    const { entries, next } = body as { entries: Record<string, unknown>[]; next: number };
    assert.deepEqual(
      entries.map(({ action, subject, credential, client }) => [action, subject, credential, client]),
      [
        ["runner-kicked", RUNNER, "admin", "127.0.0.1"],
        ["user-tokens-revoked", "nobody", "admin", "127.0.0.1"],
        ["token-revoked", "alice", "admin", "127.0.0.1"],
        ["token-issued", "alice", "admin", "127.0.0.1"],
      ],
    );
    assert.ok(!JSON.stringify(entries).includes(secret));
    assert.deepEqual((await api(url, "GET", `/api/v1/audit?after=${next}`)).body, { entries: [], next });
    const logged = lines.all.filter(({ message }) => message === "audit");
    assert.deepEqual(
      logged.map(({ fields }) => fields["audit"]),
      ["token-issued", "token-revoked", "user-tokens-revoked", "runner-kicked"],
    );
  });
});

it("figures of the last hour are columns of one length, for admins", async () => {
  await using system = await startSystem();
  const { status, body } = await api(system.url, "GET", "/api/v1/history");
  assert.equal(status, 200);
  const { stepS, time, series } = body as { stepS: number; time: number[]; series: Record<string, number[]> };
  assert.equal(stepS, 10);
  assert.ok(Object.values(series).every(({ length }) => length === time.length));
  assert.equal((await api(system.url, "GET", "/api/v1/history?after=x")).code, "bad_request");
});
