/** A browser signs in with a token: what its cookie is, where it counts, and how it ends. */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { after, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { api, issueToken } from "../../support/api.ts";
import type { ApiResponse } from "../../support/api.ts";
import { via } from "../../support/callers.ts";
import { ending } from "../../support/events.ts";
import { call, errorCode, open } from "../../support/http.ts";
import type { HttpResponse } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, startControlPlane, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { openWebSocket, refusedWebSocket } from "../../support/websockets.ts";

after(() => assertNothingOpen());

const PATH = "/api/v1/sign-in";

interface SignInRequest {
  token?: string;
  /** Default: the control plane's own. Null: none. */
  origin?: string | null;
}

function signIn(
  url: string,
  { token = ADMIN_TOKEN, origin = url }: SignInRequest = {},
): Promise<ApiResponse> {
  const headers = { ...(origin !== null && { origin }) };
  return api(url, "POST", PATH, { token: null, json: { token }, headers });
}

/** Where the published document cannot be compared. @param url with its base path */
function signInRaw(
  url: string,
  { ca, origin = url }: { ca?: string | undefined; origin?: string } = {},
): Promise<HttpResponse> {
  return call(`${url}${PATH}`, {
    method: "POST",
    token: null,
    ca,
    body: JSON.stringify({ token: ADMIN_TOKEN }),
    headers: { "content-type": "application/json", origin },
  });
}

/** What a browser keeps of it. */
function cookieOf({ headers }: { headers: ApiResponse["headers"] }): string {
  const [field = assert.fail("no cookie")] = [headers["set-cookie"] ?? []].flat();
  return field.split(";", 1)[0] ?? "";
}

async function signedIn(url: string, request?: SignInRequest): Promise<string> {
  const response = await signIn(url, request);
  assert.equal(response.status, 201, JSON.stringify(response.body));
  return cookieOf(response);
}

function withCookie(cookie: string, more: Record<string, string> = {}) {
  return { token: null, headers: { cookie, ...more } };
}

/** A target that notes the fields that it gets. */
async function startStand(): Promise<{ system: System; seen: IncomingHttpHeaders[]; urls: string[] }> {
  const seen: IncomingHttpHeaders[] = [];
  const urls: string[] = [];
  const target = await startHttpTarget((request, response) => {
    seen.push(request.headers);
    urls.push(request.url ?? "");
    response.end("reached");
  });
  new WebSocketServer({ server: target.http }).on("connection", (socket, request) => {
    seen.push(request.headers);
    socket.on("message", (data) => socket.send(data));
  });
  return { system: await startSystem({ target }), seen, urls };
}

describe("a sign-in", () => {
  it("sets a cookie that no script and no other site gets, and that is not the token", async () => {
    await using system = await startSystem({ tls: true });
    const response = await signInRaw(system.url, { ca: system.pki?.ca });
    const [field] = response.headers["set-cookie"] ?? [];
    assert.match(
      field ?? "",
      /^access_token=signin_[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/,
    );
    assert.equal(response.headers["cache-control"], "no-store");
    assert.ok(!JSON.stringify([response.body, response.headers]).includes(ADMIN_TOKEN));
  });

  it("is limited to the base path, and is not Secure where the browser uses http", async () => {
    await using controlPlane = await startControlPlane({ basePath: "/tunnel" });
    const origin = `http://127.0.0.1:${controlPlane.port}`;
    const url = `${origin}/tunnel`;
    const response = await signInRaw(url, { origin });
    assert.match(String(response.headers["set-cookie"]), /; Path=\/tunnel; .*SameSite=Strict$/);
    const shown = await call(`${url}${PATH}`, withCookie(cookieOf(response)));
    assert.equal(shown.status, 200);
    const secure = await signInRaw(url, { origin: origin.replace("http:", "https:") });
    assert.match(
      String(secure.headers["set-cookie"]),
      /; Secure$/,
      "TLS ends at a proxy that is not trusted",
    );
  });

  it("shows who it is, and for how long, as does any credential", async () => {
    await using system = await startSystem();
    const { url } = system;
    const token = await issueToken(url, {
      id: "alice",
      kind: "user",
      runners: ["runner-1"],
      expires_in_s: 600,
    });
    const cookie = await signedIn(url, { token });
    const { body } = await api(url, "GET", PATH, withCookie(cookie));
    const {
      signIn: times,
      expiresAt,
      ...who
    } = body as {
      signIn: { endsAt: string; expiresAt: string };
      expiresAt: string;
      version: string;
    };
    assert.deepEqual(
      { ...who, version: "" },
      {
        id: "alice",
        kind: "user",
        owner: "alice",
        admin: false,
        runners: ["runner-1"],
        targets: null,
        version: "",
      },
    );
    assert.deepEqual([times.endsAt, times.expiresAt], [expiresAt, expiresAt], "not longer than the token");
    const { body: admin } = await api(url, "GET", PATH);
    assert.deepEqual((admin as { admin: boolean; signIn: null }).signIn, null);
  });

  it("counts at the API and at routes to targets, and is removed before a target", async () => {
    const { system, seen } = await startStand();
    await using stand = system;
    const cookie = await signedIn(stand.url);
    assert.equal((await api(stand.url, "GET", "/api/v1/runners", withCookie(cookie))).status, 200);
    const response = await call(`${stand.url}${via("/a")}`, withCookie(`x=1; ${cookie}; y=2`));
    assert.deepEqual([response.status, response.body], [200, "reached"]);
    assert.match(
      String(response.headers["content-security-policy"]),
      /^sandbox /,
      "a page of its own origin",
    );
    const headers = { authorization: "", cookie, origin: stand.url };
    await using socket = await openWebSocket("HTTP/1.1", stand, via("/ws"), { headers });
    socket.socket.send("hello");
    assert.equal(await socket.text(), "hello");
    assert.equal(seen.length, 2);
    assert.ok(!JSON.stringify(seen).includes("signin_"), JSON.stringify(seen));
  });

  it("needs an Origin of ours for whatever changes something, and for WebSockets", async () => {
    const { system } = await startStand();
    await using stand = system;
    const { url } = stand;
    const cookie = await signedIn(url);
    for (const origin of [undefined, "https://evil.example", "null"]) {
      const from = origin === undefined ? {} : { origin };
      const json = { id: "made", kind: "user" };
      const made = await api(url, "POST", "/api/v1/tokens", { json, ...withCookie(cookie, from) });
      assert.equal(made.code, "origin_not_allowed");
      assert.equal((await api(url, "DELETE", PATH, withCookie(cookie, from))).code, "origin_not_allowed");
      const headers = { authorization: "", cookie, ...from };
      assert.equal((await refusedWebSocket("HTTP/1.1", stand, via("/ws"), { headers })).status, 403);
      assert.equal((await signIn(url, { origin: origin ?? null })).code, "origin_not_allowed");
    }
    const json = { id: "made", kind: "user" };
    const made = await api(url, "POST", "/api/v1/tokens", { json, ...withCookie(cookie, { origin: url }) });
    assert.equal(made.status, 201);
  });

  it("counts nowhere else: agent endpoint, forward proxy, metrics, fields, URLs", async () => {
    const { system, urls } = await startStand();
    await using stand = system;
    const { url } = stand;
    const { port } = stand.controlPlane;
    const cookie = await signedIn(url);
    const id = cookie.replace("access_token=", "");
    const raw = async (start: string, field: string, connection = "close"): Promise<number | undefined> => {
      const text = `${start} HTTP/1.1\r\nHost: echo.runner-1\r\n${field}\r\nConnection: ${connection}\r\n\r\n`;
      return (await exchangeRaw(port, text)).statuses.at(-1);
    };
    const inCookie = `Cookie: ${cookie}`;
    const endpoint = `${inCookie}\r\nUpgrade: ptth\r\nOrigin: ${url}`;
    assert.equal(await raw("GET /api/v1/revdial?runnerid=x", endpoint, "Upgrade"), 401);
    assert.equal(await raw("CONNECT echo.runner-1:80", inCookie), 407);
    assert.equal(await raw("CONNECT echo.runner-1:80", `Proxy-Authorization: Bearer ${id}`), 407);
    assert.equal(await raw("GET http://echo.runner-1/", inCookie), 407);
    assert.equal(await raw("GET /metrics", inCookie), 401);
    for (const headers of [{ authorization: `Bearer ${id}` }, { "x-api-key": id }]) {
      assert.equal((await api(url, "GET", "/api/v1/runners", { token: null, headers })).status, 401);
    }
    assert.equal((await call(`${url}${via(`/?access_token=${id}`)}`, { token: null })).status, 401);
    assert.deepEqual(urls, []);
  });

  it("ends at the sign-out, with what it has opened and nothing else", async () => {
    const { system } = await startStand();
    await using stand = system;
    const { url } = stand;
    const [mine, other] = [await signedIn(url), await signedIn(url)];
    const events = await open(`${url}/api/v1/events`, withCookie(mine));
    const others = await open(`${url}/api/v1/events`, withCookie(other));
    const headers = { authorization: "", cookie: mine, origin: url };
    await using socket = await openWebSocket("HTTP/1.1", stand, via("/ws"), { headers });
    const signedOut = await api(url, "DELETE", PATH, withCookie(mine, { origin: url }));
    assert.equal(signedOut.status, 204);
    assert.match(String(signedOut.headers["set-cookie"]), /^access_token=; Path=\/; Max-Age=0; HttpOnly;/);
    assert.equal((await ending(events)).kind, "end");
    assert.deepEqual(await socket.closed, { code: 1008, reason: "the sign-in has ended" });
    const late = await call(`${url}${PATH}`, withCookie(mine));
    assert.deepEqual([late.status, errorCode(late)], [401, "unauthenticated"]);
    assert.deepEqual(JSON.parse(late.body).error.details, ["the sign-in has ended"]);
    assert.equal((await api(url, "GET", PATH, withCookie(other))).status, 200);
    assert.equal(others.destroyed, false);
    others.destroy();
  });

  it("ends with its token, which shows what that would close", async () => {
    await using system = await startSystem();
    const { url } = system;
    const token = await issueToken(url, { id: "alice", kind: "user" });
    const cookie = await signedIn(url, { token });
    const events = await open(`${url}/api/v1/events`, withCookie(cookie));
    const opened = await api(url, "GET", "/api/v1/tokens/alice/opened");
    assert.deepEqual(opened.body, { streams: 1, sign_ins: 1, connections: 0, runners: [], runner_count: 0 });
    const { body } = await api(url, "GET", "/api/v1/tokens");
    const [listed] = (body as { tokens: { last_used_at: string | null }[] }).tokens;
    assert.ok(Math.abs(Date.parse(listed?.last_used_at ?? "") - Date.now()) < 60_000);
    await api(url, "DELETE", "/api/v1/tokens/alice");
    assert.equal((await ending(events)).kind, "end");
    assert.equal((await api(url, "GET", PATH, withCookie(cookie))).status, 401);
    assert.equal((await api(url, "GET", "/api/v1/tokens/alice/opened")).code, "not_found");
  });

  it("is refused to runners, to what is no token, and to bodies of any other form", async () => {
    await using system = await startSystem({ controlPlane: { anonymousPerS: 5 } });
    const { url } = system;
    const token = await issueToken(url, { id: "host", kind: "runner", runners: ["x"] });
    assert.equal((await signIn(url, { token })).code, "not_allowed");
    const headers = { origin: url };
    const send = async (body: string, type = "application/json"): Promise<string> => {
      const response = await call(`${url}${PATH}`, {
        method: "POST",
        token: null,
        body,
        headers: { ...headers, "content-type": type },
      });
      return errorCode(response);
    };
    assert.equal(await send("{"), "bad_request");
    assert.equal(await send("{}"), "bad_request");
    assert.equal(await send(JSON.stringify({ token: ADMIN_TOKEN }), "text/plain"), "bad_request");
    assert.equal(await send(JSON.stringify({ token: "x".repeat(5_000) })), "payload_too_large");
    assert.equal((await signIn(url, { token: "wrong" })).code, "unauthenticated");
    let last: ApiResponse | undefined;
    for (let i = 0; i < 20; i += 1) last = await signIn(url, { token: `wrong-${i}` });
    assert.deepEqual([last?.status, last?.code], [429, "rate_limited"], "as other failed credentials");
    assert.ok(Number(last?.headers["retry-after"]) >= 1);
    assert.equal((await signIn(url)).status, 201, "a good one is not affected");
  });
});
