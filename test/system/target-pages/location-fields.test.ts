/** Redirects, cookies and other addresses of a target lead its callers back to it, wherever its route is found. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { AgentOptions } from "../../../src/agent/config.ts";
import { parseTarget } from "../../../src/agent/targets/targets.ts";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

/** Redirects as web servers build them: from Host, from their own port, from forwarded fields. */
async function startApplication() {
  return startRawTarget(({ socket, head }) => {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1] ?? "";
    const isUpgrade = /^upgrade: websocket$/im.test(head);
    socket.end(
      [
        `HTTP/1.1 ${isUpgrade ? "307 Temporary Redirect" : "302 Found"}`,
        `Location: http://${field("host").replace(/:.*/, "")}:3000/dir/?a=b`,
        `Content-Location: https://${field("x-forwarded-host") || "none.example"}/canonical`,
        "Refresh: 5; url=/next",
        "Link: </page/2>; rel=next, <https://elsewhere.example/>; rel=author",
        "Set-Cookie: sid=1; Path=/app; Domain=localhost; HttpOnly",
        `Set-Cookie: own=1; Path=${field("x-forwarded-prefix") || "/none"}/app`,
        "Content-Length: 0",
        "Connection: close",
        "",
        "",
      ].join("\r\n"),
    );
  });
}

function judge(headers: Record<string, unknown>, prefix: string, what: string): void {
  const { location, refresh, link, "content-location": canonical, "set-cookie": cookies } = headers;
  assert.deepEqual(
    { location, refresh, link, canonical, cookies: [cookies].flat().join() },
    {
      location: `${prefix}/dir/?a=b`,
      canonical: `${prefix}/canonical`,
      refresh: `5; url=${prefix}/next`,
      link: "</page/2>; rel=next, <https://elsewhere.example/>; rel=author", // content, as links in a page
      cookies: `sid=1; HttpOnly; Path=${prefix}/app,own=1; Path=${prefix}/app`,
    },
    what,
  );
}

describe("a target's addresses", () => {
  for (const kind of CALLERS) {
    it(`lead back to its route over ${kind}, from a refused WebSocket too`, async () => {
      await using system = await startSystem({ tls: true, target: await startApplication() });
      await using caller = await openCaller(kind, system);
      judge((await caller.call({ path: via("/x") })).headers, via(""), "HTTP");
      const refusal = await refusedWebSocket(kind, system, via("/ws"));
      assert.equal(refusal.status, 307);
      judge(refusal.headers, via(""), "WebSocket");
    });
  }

  const TRUST: ControlPlaneOptions = { trustedProxies: ["127.0.0.1"], forwardedPrefix: true };
  const BY_FRONT = {
    "x-forwarded-prefix": "/tunnel",
    "x-forwarded-host": "cp.example:8443",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "203.0.113.9",
  };
  for (const [what, controlPlane, headers, base, prefix] of [
    ["below a base path", { basePath: "/base/path" }, {}, "/base/path", "/base/path"],
    ["behind a proxy that removes a prefix", TRUST, BY_FRONT, "", "/tunnel"],
    ["behind such a proxy and below a base path", { ...TRUST, basePath: "/b" }, BY_FRONT, "/b", "/tunnel/b"],
    ["for a caller who claims a prefix", {}, { "x-forwarded-prefix": "/evil" }, "", ""],
    [
      "for a caller whose prefix a trusted proxy passes on",
      { trustedProxies: ["127.0.0.1"] },
      { ...BY_FRONT, "x-forwarded-prefix": "/evil" },
      "",
      "",
    ],
  ] as const) {
    it(`lead back to its route ${what}`, async () => {
      const target = await startApplication();
      await using system = await startSystem({ target, controlPlane, agents: 0 });
      await system.addAgent({ [RUNNER]: { [TARGET]: target.address } }, { server: `${system.url}${base}` });
      const response = await call(`${system.url}${base}${via("/x")}`, { headers });
      judge(response.headers, `${prefix}${via("")}`, what);
      const [head = ""] = target.heads;
      assert.match(head, new RegExp(`^x-forwarded-prefix: ${prefix}${via("")}$`, "im"));
      const isTrusted = "trustedProxies" in controlPlane;
      const host = isTrusted ? "cp\\.example:8443" : "127\\.0\\.0\\.1:\\d+";
      assert.match(head, new RegExp(`^x-forwarded-host: ${host}$`, "im"));
      assert.match(head, new RegExp(`^x-forwarded-proto: ${isTrusted ? "https" : "http"}$`, "im"));
      assert.doesNotMatch(head, /evil/);
    });
  }

  for (const kind of CALLERS) {
    it(`are the target's own on the forward proxy, over ${kind}`, async () => {
      const target = await startApplication();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const authority = `${TARGET}.${RUNNER}`;
      const credential = { "proxy-authorization": `Bearer ${ADMIN_TOKEN}`, authorization: undefined };
      const response = await caller.call(
        caller.isHttp2
          ? { path: "/x", headers: { ":authority": authority, ":scheme": "http", ...credential } }
          : { path: `http://${authority}/x`, headers: credential },
      );
      assert.equal(response.status, 302);
      assert.equal(response.headers.location, `http://${authority}:3000/dir/?a=b`);
      assert.equal(response.headers["refresh"], "5; url=/next");
      assert.equal(response.headers["set-cookie"]?.[0], "sid=1; Path=/app; Domain=localhost; HttpOnly");
      assert.doesNotMatch(target.heads[0] ?? "", /x-forwarded/i);
    });
  }

  for (const kind of CALLERS) {
    it(`may begin with the target's declared host, which its requests have over ${kind}`, async () => {
      const target = await startRawTarget(({ socket, head }) => {
        const isUpgrade = /^upgrade: websocket$/im.test(head);
        socket.end(
          `HTTP/1.1 ${isUpgrade ? "307 Temporary Redirect" : "302 Found"}\r\n` +
            "Location: http://vm.test:33801/dir/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
      });
      await using system = await startSystem({ tls: true, target, agents: 0 });
      const options = { named: ";host=vm.test:33801", other: ";host=vm.test:1", plain: "" };
      const targets = Object.entries(options).map(([name, text]) =>
        parseTarget(`${name}=${target.address}${text}`),
      );
      await system.addAgent([{ id: RUNNER, targets }]);
      await using caller = await openCaller(kind, system);
      for (const [name, host, location] of [
        ["named", "vm.test:33801", `${via("", "named")}/dir/`],
        ["other", "vm.test:1", "http://vm.test:33801/dir/"],
        ["plain", "localhost", "http://vm.test:33801/dir/"],
      ] as const) {
        const { headers } = await caller.call({ path: via("/x", name) });
        assert.equal(headers.location, location);
        const refusal = await refusedWebSocket(kind, system, via("/ws", name));
        assert.equal(refusal.headers.location, location);
        for (const head of target.heads.slice(-2)) assert.match(head, new RegExp(`^host: ${host}$`, "im"));
      }
    });
  }

  it("stay unchanged for a target that is declared so, except those that affect our whole origin", async () => {
    const target = await startApplication();
    await using system = await startSystem({ target, agents: 0 });
    const runners: AgentOptions["runners"] = [
      { id: RUNNER, targets: [parseTarget(`raw=${target.address};rewrite=off`)] },
    ];
    await system.addAgent(runners);
    for (const headers of [
      (await call(`${system.url}${via("/x", "raw")}`)).headers,
      (await refusedWebSocket("HTTP/1.1", system, via("/ws", "raw"))).headers,
    ]) {
      assert.equal(headers.location, "http://localhost:3000/dir/?a=b");
      assert.equal(headers["refresh"], "5; url=/next");
      assert.match(String(headers["link"]), /^<\/page\/2>/);
      const path = via("", "raw");
      assert.deepEqual(headers["set-cookie"], [
        `sid=1; HttpOnly; Path=${path}/app`,
        `own=1; Path=${path}/none/app`,
      ]);
    }
    assert.doesNotMatch(target.heads.join("\n"), /x-forwarded-prefix/i);
  });
});
