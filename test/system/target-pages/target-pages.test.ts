/** Pages of a target that a browser opens with its cookie get no part in our origin. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { call, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const OWN_POLICY = "default-src 'self'";

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
