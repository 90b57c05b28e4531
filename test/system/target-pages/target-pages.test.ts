/** Pages of a target that a browser opens with its cookie get no part in our origin. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { ending } from "../../support/events.ts";
import { call, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const OWN_POLICY = "default-src 'self'";
const NO_TOKEN = { authorization: undefined };

describe("a target's response on its route", () => {
  const ways: [string, Record<string, string>, boolean][] = [
    ["requested with the cookie", { cookie: `access_token=${ADMIN_TOKEN}` }, true],
    [
      "requested with the cookie and the target's own login",
      { cookie: `access_token=${ADMIN_TOKEN}`, authorization: "Basic dTpw" },
      true,
    ],
    ["requested with a token in Authorization", { authorization: `Bearer ${ADMIN_TOKEN}` }, false],
    ["requested with an API key", { "x-api-key": ADMIN_TOKEN }, false],
  ];
  for (const [what, headers, isolated] of ways) {
    it(`${what} is ${isolated ? "a page of another origin" : "passed as it is"}`, async () => {
      await using target = await startHttpTarget((_request, response) => {
        response.writeHead(200, {
          "content-type": "text/html",
          "content-security-policy": OWN_POLICY,
        });
        response.end("<p>page</p>");
      });
      await using system = await startSystem({ agents: 0 });
      await system.addAgent({ [RUNNER]: { web: target.address } });
      const response = await call(targetUrl(system.url, RUNNER, "web"), { token: null, headers });
      assert.equal(response.body, "<p>page</p>");
      const policy = String(response.headers["content-security-policy"]);
      assert.ok(policy.includes(OWN_POLICY), "the target's own policy holds as well");
      if (isolated) {
        assert.match(policy, /, sandbox allow-scripts /);
        assert.doesNotMatch(policy, /allow-same-origin|allow-top-navigation/);
        assert.equal(response.headers["x-content-type-options"], "nosniff");
      } else {
        assert.equal(policy, OWN_POLICY);
      }
    });
  }
});

describe("what a target says beside its page", () => {
  /** Of each kind one: in a 1xx, in the final header section, in the trailers. */
  const FIELDS = [
    'WWW-Authenticate: Basic realm="Log in"',
    "Permissions-Policy: camera=*",
    'Speculation-Rules: "/rules.json"',
    "Link: </x>; rel=preload; as=image",
    "Cross-Origin-Opener-Policy: same-origin",
  ];
  const OURS = [
    'Proxy-Status: turnabout; error=http_request_error; details="runner_unknown"',
    "X-Request-Id: forged",
    "Turnabout-Version: 9.9.9",
    "Timing-Allow-Origin: *",
    "No-Vary-Search: params",
  ];
  const SECTION = [...FIELDS, ...OURS, "X-End: to the end", ""].join("\r\n");
  const CHALLENGE = 'WWW-Authenticate: Bearer realm="turnabout"';
  const RESPONSE = [
    `HTTP/1.1 103 Early Hints\r\n${CHALLENGE}\r\n${SECTION}`,
    `HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n${CHALLENGE}\r\n${SECTION}`,
    `0\r\n${SECTION}`,
    "",
  ].join("\r\n");
  const nameOf = (line: string): string => line.split(":", 1)[0]?.toLowerCase() ?? "";

  for (const kind of PLAINTEXT_CALLERS) {
    for (const [who, headers, name] of [
      ["a viewer with the cookie", { ...NO_TOKEN, cookie: `access_token=${ADMIN_TOKEN}` }, "web"],
      ["a viewer of a trusted page", { ...NO_TOKEN, cookie: `access_token=${ADMIN_TOKEN}` }, "trusted"],
      ["a program", {}, "web"],
    ] as const) {
      const isViewer = who === "a viewer with the cookie";
      it(`${isViewer ? "does not reach" : "reaches"} ${who} over ${kind}, in no header section in our name`, async () => {
        await using target = await startRawTarget(({ socket }) => void socket.end(RESPONSE));
        await using system = await startSystem({
          agents: 0,
          controlPlane: { trustedPages: [`trusted.${RUNNER}`] },
        });
        const { address } = target;
        await system.addAgent({ [RUNNER]: { web: address, trusted: address } });
        await using caller = await openCaller(kind, system);
        const call = caller.open({ path: via("/", name), headers, bodyless: true });
        call.request.end();
        const response = await call.response;
        assert.equal((await ending(response.body)).kind, "end");
        assert.equal(response.status, 401);
        assert.equal(call.informational.length, 1);
        for (const section of [call.informational[0]?.headers ?? {}, response.headers, response.trailers]) {
          assert.equal(section["x-end"], "to the end");
          for (const field of FIELDS.map(nameOf)) {
            // No challenge is in a trailer section (RFC 9110 §6.5.1).
            const isDropped = isViewer || (section === response.trailers && field === "www-authenticate");
            assert.equal(section[field] === undefined, isDropped, field);
          }
          for (const field of OURS.map(nameOf)) {
            const ours = section === response.headers && field === "x-request-id";
            if (ours) assert.match(String(section[field]), /^[0-9a-f-]{36}$/);
            else assert.equal(section[field], undefined, field);
          }
          assert.doesNotMatch(String(section["www-authenticate"]), /turnabout/);
        }
      });
    }
  }
});

describe("our own responses", () => {
  for (const kind of PLAINTEXT_CALLERS) {
    it(`are never taken for pages by ${kind}, errors included`, async () => {
      await using system = await startSystem();
      await using caller = await openCaller(kind, system);
      for (const [path, headers, status] of [
        ["/healthz", {}, 200],
        ["/openapi.json", {}, 200],
        ["/metrics", {}, 200],
        ["/api/v1/runners", {}, 200],
        ["/api/v1/runners", NO_TOKEN, 401],
        ["/api/v1/nothing", {}, 404],
        ["/nothing", {}, 404],
        [via("/", "web", "unknown"), {}, 404],
        [via("/x", "unknown"), {}, 404],
      ] as const) {
        const response = await caller.call({ path, headers });
        assert.deepEqual(
          [response.status, response.headers["x-content-type-options"]],
          [status, "nosniff"],
          path,
        );
      }
    });
  }
});

describe("an operator's trust in pages", () => {
  it("holds for the targets that it names, and for no other", async () => {
    await using target = await startHttpTarget((_request, response) => response.end("page"));
    const trustedPages = ["web.runner-*", "a.b"];
    await using system = await startSystem({ agents: 0, controlPlane: { trustedPages } });
    const { address } = target;
    await system.addAgent({ [RUNNER]: { web: address, xweb: address, other: address }, b: { a: address } });
    const headers = { cookie: `access_token=${ADMIN_TOKEN}` };
    for (const [runner, name, isTrusted] of [
      [RUNNER, "web", true],
      ["b", "a", true],
      [RUNNER, "xweb", false],
      [RUNNER, "other", false],
    ] as const) {
      const response = await call(targetUrl(system.url, runner, name), { token: null, headers });
      assert.equal(response.headers["content-security-policy"] === undefined, isTrusted, name);
    }
  });

  it("is refused where it cannot be meant", async () => {
    for (const pattern of ["web", "*", "", "web.runner.1", "Web.r", "web.r/x"]) {
      const starting = createControlPlane({ port: 0, adminToken: ADMIN_TOKEN, trustedPages: [pattern] });
      await assert.rejects(starting, { code: "config_invalid" }, pattern);
    }
  });
});
