import assert from "node:assert/strict";
import type { OutgoingHttpHeaders } from "node:http";
import { afterEach, describe, it } from "node:test";
import { errorCode, openCaller, PLAINTEXT_CALLERS } from "../../support/callers.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { SECRET } from "./moonlight-stand.ts";
import { startPage } from "./page-stand.ts";
import type { Seen, Served } from "./page-stand.ts";

afterEach(() => assertNothingOpen());

const CONFIG = { "content-type": "text/javascript" };

/** What a browser sends by itself. */
function byCookie(token: string, more: OutgoingHttpHeaders = {}): OutgoingHttpHeaders {
  return {
    authorization: undefined,
    cookie: `theme=dark; access_token=${token}; mlSession=${"a".repeat(64)}`,
    ...more,
  };
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`Moonlight Web's page over ${kind}`, () => {
    it("is the session's in the path, for its owner and admins, with our credentials and no other", async () => {
      await using stand = await startPage();
      const { alice, bob, page, seen, sessions, session } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const calls: [path: string, headers: OutgoingHttpHeaders][] = [
        ["/", byCookie(alice)],
        ["/stream.html?hostId=0&access_token=unknown&appId=1", byCookie(alice)],
        ["/api/hosts", byCookie(alice, { authorization: "Bearer what-was-typed" })],
        ["/api/hosts", byCookie(alice, { authorization: "Bearer" })],
        ["/api/hosts", byCookie(alice, { authorization: `Basic ${btoa("x:y")}` })],
        ["/api/hosts", byCookie(alice, { authorization: `Bearer ${bob}` })],
        ["/api/hosts", { authorization: `Bearer ${alice}` }],
        ["/api/hosts", byCookie("expired", { authorization: `Bearer ${alice}` })],
        ["/api/hosts", { authorization: undefined, "x-api-key": alice }],
        ["/api/hosts", { authorization: `Bearer ${alice}`, "x-api-key": "of-another-service" }],
        ["/api/hosts", { authorization: `Bearer ${ADMIN_TOKEN}` }],
      ];
      for (const [path, headers] of calls) {
        const { status, text } = await caller.call({ path: `${page}${path}`, headers });
        assert.equal(status, 200, `${path} ${JSON.stringify(headers)}: ${text}`);
      }
      assert.deepEqual(
        seen.all.map(({ url }) => url),
        ["/", "/stream.html?hostId=0&appId=1", ...calls.slice(2).map(([path]) => path)],
      );
      for (const { headers } of seen.all) {
        assert.equal(headers.authorization, `Bearer ${SECRET}`);
        assert.deepEqual([headers.cookie, headers["x-api-key"]], [undefined, undefined]);
        assert.equal(headers["x-forwarded-prefix"], page);
      }
      const before = seen.length;
      for (const [path, headers, status, code] of [
        [`${page}/`, byCookie(bob), 404, "session_unknown"],
        [page, byCookie(bob), 404, "session_unknown"],
        [`${page}/api/hosts`, byCookie(bob, { authorization: `Bearer ${alice}` }), 404, "session_unknown"],
        [`/moonlight/s/agent-${session.id}/`, byCookie(alice), 404, "session_unknown"],
        [`${page}/`, { authorization: undefined }, 401, "unauthenticated"],
        [`${page}/`, byCookie("unknown"), 401, "unauthenticated"],
        [`${page}/?access_token=${alice}`, { authorization: undefined }, 401, "unauthenticated"],
        [`${page}/`, byCookie("unknown", { authorization: "Bearer what-was-typed" }), 401, "unauthenticated"],
        [`${page}/`, { authorization: "Bearer what-was-typed" }, 401, "unauthenticated"],
      ] as const) {
        const response = await caller.call({ path, headers });
        assert.deepEqual(
          [response.status, errorCode(response.text)],
          [status, code],
          `${path} ${JSON.stringify(headers)}`,
        );
      }
      assert.equal(seen.length, before, "Moonlight has heard of none");
    });

    it("redirects to its path with a slash, for relative addresses to stay below it", async () => {
      await using stand = await startPage({ controlPlane: { basePath: "/base" } });
      const { alice, page, seen, sessions, session } = stand;
      await using caller = await openCaller(kind, sessions.system);
      assert.equal(session.links["moonlight"], `${page}/`);
      for (const method of ["GET", "HEAD"]) {
        const response = await caller.call({
          method,
          path: `${page}?a=1&access_token=${alice}`,
          headers: byCookie(alice),
        });
        assert.equal(response.status, 308);
        const { location, "cache-control": caching } = response.headers;
        assert.deepEqual([location, caching], [`${session.id}/?a=1`, "no-store"]);
        const target = new URL(location ?? "", `http://cp.example${page}`);
        assert.equal(target.pathname, `${page}/`);
      }
      const posted = await caller.call({
        method: "POST",
        path: page,
        headers: { authorization: `Bearer ${alice}` },
      });
      assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"]);
      assert.equal(seen.length, 0);
    });

    it("gets a config.js with its own path, in the form of its version", async () => {
      let served: Served = {};
      const controlPlane = { basePath: "/base", trustedProxies: ["127.0.0.1"], forwardedPrefix: true };
      await using stand = await startPage({ serve: () => served, controlPlane });
      const { alice, page, seen, sessions } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const headers = byCookie(alice, {
        "accept-encoding": "gzip, br",
        "if-none-match": '"1"',
        "if-modified-since": "Fri, 27 Nov 2026 00:00:00 GMT",
        range: "bytes=0-9",
      });
      const own = {
        ...CONFIG,
        etag: '"1:2:3"',
        "last-modified": "Thu, 26 Nov 2026 00:00:00 GMT",
        "accept-ranges": "bytes",
      };
      for (const [body, expected] of [
        [
          'export default {"enable_credential_authentication":true,"path_prefix":""}',
          `export default {"enable_credential_authentication":false,"path_prefix":"${page}"}`,
        ],
        [
          'window.__CONFIG_JS__ = {"path_prefix":"","new":1.0}',
          `window.__CONFIG_JS__ = {"path_prefix":"${page}","new":1.0,"enable_credential_authentication":false}`,
        ],
      ] as const) {
        for (const length of [{}, { "content-length": String(body.length) }]) {
          served = { headers: { ...own, ...length }, body };
          const response = await caller.call({ path: `${page}/config.js?v=1`, headers });
          assert.equal(response.status, 200, response.text);
          assert.equal(response.text, expected);
          assert.equal(response.headers["content-type"], "text/javascript");
          assert.equal(response.headers["content-length"], String(expected.length));
          assert.equal(response.headers["cache-control"], "no-store");
          for (const name of ["etag", "last-modified", "accept-ranges"])
            assert.ok(!(name in response.headers), name);
        }
      }
      const behind = await caller.call({
        path: `${page}/config.js`,
        headers: { ...headers, "x-forwarded-prefix": "/tunnel" },
      });
      assert.match(behind.text, new RegExp(`"path_prefix":"/tunnel${page}"`));
      const head = await caller.call({ method: "HEAD", path: `${page}/config.js`, headers });
      assert.deepEqual(
        [head.status, head.headers["content-length"], head.headers.etag],
        [200, undefined, undefined],
      );
      for (const one of seen.all) {
        for (const name of ["accept-encoding", "if-none-match", "if-modified-since", "range"]) {
          assert.ok(!(name in one.headers), `${name} has reached Moonlight`);
        }
      }
    });

    it("is refused a config.js that cannot be given its path, and goes on", async () => {
      let served: Served = {};
      await using stand = await startPage({ serve: () => served });
      const { alice, page, sessions } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const path = `${page}/config.js`;
      for (const wrong of [
        { headers: CONFIG, body: "module.exports = {}" },
        { headers: CONFIG, body: "" },
        { headers: { ...CONFIG, "content-encoding": "gzip" }, body: "export default {}" },
        { headers: CONFIG, body: `export default {} /* ${"x".repeat(70_000)} */` },
      ]) {
        served = wrong;
        const response = await caller.call({ path, headers: byCookie(alice) });
        assert.deepEqual(
          [response.status, errorCode(response.text)],
          [502, "target_protocol"],
          wrong.body.slice(0, 20),
        );
      }
      served = { headers: CONFIG, body: "export default {", stalls: true };
      const stalled = await caller.call({ path, headers: byCookie(alice, { "turnabout-timeout": "0.1" }) });
      assert.deepEqual([stalled.status, errorCode(stalled.text)], [504, "response_timeout"]);
      served = { status: 404, body: "none" };
      const missing = await caller.call({ path, headers: byCookie(alice) });
      assert.deepEqual([missing.status, missing.text], [404, "none"], "a refusal is Moonlight's own");
      served = { headers: CONFIG, body: "export default {}" };
      assert.equal((await caller.call({ path, headers: byCookie(alice) })).status, 200);
    });

    it("has a policy of ours besides its own, and is asked for again", async () => {
      let served: Served = {};
      const allowedOrigins = ["https://app.example"];
      await using stand = await startPage({ serve: () => served, controlPlane: { allowedOrigins } });
      const { alice, page, sessions } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const get = async (path: string): Promise<Record<string, unknown>> =>
        (await caller.call({ path: `${page}${path}`, headers: byCookie(alice) })).headers;
      const plain = await get("/");
      const policy = String(plain["content-security-policy"]);
      for (const part of [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval' 'sha256-",
        "style-src 'self' 'unsafe-inline'",
        "connect-src 'self'",
        "img-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self' https://app.example",
      ]) {
        assert.ok(policy.includes(part), `${part} in ${policy}`);
      }
      assert.ok(!policy.includes("'unsafe-eval'") && !policy.includes("sandbox"), policy);
      assert.equal(plain["x-content-type-options"], "nosniff");
      assert.equal(plain["cross-origin-opener-policy"], "same-origin");
      assert.equal(plain["cross-origin-resource-policy"], "same-origin");
      assert.match(String(plain["permissions-policy"]), /gamepad=\(self\).*camera=\(\)/);
      assert.equal(plain["cache-control"], "private, no-cache");
      served = {
        status: 304,
        headers: {
          "cache-control": "no-store, no-cache, must-revalidate, private",
          "content-security-policy": "upgrade-insecure-requests",
          "permissions-policy": "camera=*",
          "set-cookie": ["mlSession=0; Path=/", "access_token=stolen"],
          etag: '"1"',
        },
      };
      const own = await get("/stream/pipeline/worker.js");
      assert.equal(own["cache-control"], "no-store, no-cache, must-revalidate, private");
      assert.ok(
        String(own["content-security-policy"]).startsWith("upgrade-insecure-requests, default-src 'none'"),
      );
      assert.equal(own["permissions-policy"], plain["permissions-policy"]);
      assert.deepEqual([own["set-cookie"], own["etag"]], [undefined, '"1"']);
    });

    it("shows a user hosts without their addresses, and an admin with them", async () => {
      const host = {
        host_id: 0,
        name: "Wolf",
        address: "172.19.0.50",
        mac: "00:11:22:33:44:55",
        local_ip: "10.0.0.7",
      };
      const serve = ({ url }: Seen): Served => ({
        body: JSON.stringify(url.startsWith("/api/host?") ? { host } : [host]),
      });
      await using stand = await startPage({ serve });
      const { alice, page, sessions } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const path = `${page}/api/host?host_id=0&force_refresh=true`;
      const asUser = await caller.call({ path, headers: byCookie(alice) });
      assert.deepEqual(JSON.parse(asUser.text), { host: { ...host, address: "", mac: null, local_ip: "" } });
      const asAdmin = await caller.call({ path, headers: byCookie(ADMIN_TOKEN) });
      assert.deepEqual(JSON.parse(asAdmin.text), { host });
    });

    it("changes nothing for its viewer that others share, and reaches nothing by odd spellings", async () => {
      await using stand = await startPage();
      const { alice, page, seen, sessions, url } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const headers = byCookie(alice, { origin: url });
      for (const [method, path] of [
        ["PUT", "/api/host"],
        ["POST", "/api/host"],
        ["PATCH", "/api/host"],
        ["DELETE", "/api/host?host_id=0"],
        ["POST", "/api/pair"],
        ["POST", "/api/host/wake"],
        ["POST", "/api/host/cancel"],
        ["POST", "/api/login"],
        ["POST", "/api/logout"],
        ["GET", "/api/users"],
        ["PATCH", "/api/user"],
        ["GET", "/api/user?user_id=1"],
        ["GET", "/api/roles"],
        ["PUT", "/api/role/default"],
        ["GET", "/api/sessions"],
        ["GET", "/api/admin/status"],
        ["POST", "/api/host/stream"],
        ["POST", "/"],
        ["OPTIONS", "/api/hosts"],
      ] as const) {
        const response = await caller.call({ method, path: `${page}${path}`, headers });
        assert.deepEqual(
          [response.status, errorCode(response.text)],
          [403, "not_allowed"],
          `${method} ${path}`,
        );
      }
      assert.equal(seen.length, 0, "Moonlight has heard of none");
      const foreign = byCookie(alice, { origin: "https://evil.example" });
      const posted = await caller.call({
        method: "POST",
        path: `${page}/api/host/stream/webrtc`,
        headers: foreign,
      });
      assert.deepEqual([posted.status, errorCode(posted.text)], [403, "origin_not_allowed"]);
    });
  });
}

describe("Paths below Moonlight Web's page", () => {
  it("cannot leave what a user may reach, nor the session, by any spelling", async () => {
    await using stand = await startPage();
    const { alice, bob, page, seen, sessions } = stand;
    const other = await stand.another(bob);
    const { port } = sessions.system.controlPlane;
    for (const path of [
      `${page}/../${other.id}/`,
      `${page}/%2e%2e/${other.id}/`,
      `${page}/..%2f${other.id}/`,
      `${page}/.%2e/${other.id}/api/hosts`,
      `${page}/x.js/../api/sessions`,
      `${page}/x.js/%2e%2e/api/sessions`,
      `${page}//api/sessions`,
      `${page}/%61pi/sessions`,
      `${page}/api%2fsessions`,
      `${page}/api/hosts/%2e%2e/sessions`,
      `${page}/\\..\\api/x.js`,
      `${page}/api/hosts%00.js`,
      `${page}/api/hosts;.js`,
      `${page}%2f..%2f${other.id}/`,
      `/moonlight/s/../s/${other.id}/`,
      `/moonlight/s//${other.id}/`,
      `/moonlight/s/${other.id}/?session_id=${stand.session.id}`,
    ]) {
      const { text } = await exchangeRaw(
        port,
        `GET ${path} HTTP/1.1\r\nHost: x\r\nCookie: access_token=${alice}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 (?:400|403|404) /, path);
    }
    assert.equal(seen.length, 0, "Moonlight has heard of none");
  });
});
