import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { responseFields } from "./header-fields.ts";
import type { ForwardedRequest } from "./header-fields.ts";
import { limitedCookies } from "./response-filter.ts";

const PREFIX = "/base/api/v1/runners/r/targets/t";
const CLIENT = {
  address: "192.0.2.1",
  scheme: "https",
  host: "cp.example",
  prefix: "",
  isForwarded: false,
} as const;
const PROXY: ForwardedRequest = { mode: "proxy", host: "t.r", path: "/", client: CLIENT };
const API: ForwardedRequest = {
  mode: "api",
  host: "localhost",
  path: "/",
  client: CLIENT,
  mount: { path: PREFIX, targetPath: "" },
};

describe("responseFields", () => {
  /** What a target must not say for our origin. */
  const ORIGIN_WIDE = {
    "accept-ch": "Sec-CH-UA-Model",
    "activate-storage-access": "retry",
    "attribution-reporting-register-source": "{}",
    "attribution-reporting-register-trigger": "{}",
    "cache-group-invalidation": '"a"',
    "cache-groups": '"a"',
    "access-control-allow-credentials": "true",
    "access-control-allow-headers": "*",
    "access-control-allow-methods": "*",
    "access-control-allow-origin": "https://evil.example",
    "access-control-allow-private-network": "true",
    "access-control-expose-headers": "*",
    "access-control-max-age": "86400",
    "alt-svc": 'h3="evil.example:443"',
    "clear-site-data": '"*"',
    "critical-ch": "Sec-CH-UA-Model",
    "expect-ct": "max-age=1",
    "idp-signin-status": "action=signin",
    nel: "{}",
    "no-vary-search": "params",
    "observe-browsing-topics": "?1",
    "origin-agent-cluster": "?0",
    "public-key-pins": "pin",
    "public-key-pins-report-only": "pin",
    refresh: "0; url=https://evil.example",
    "report-to": "{}",
    "reporting-endpoints": 'a="https://evil.example"',
    "sec-session-challenge": '"x"',
    "sec-session-registration": "(ES256)",
    "secure-session-challenge": '"x"',
    "secure-session-registration": "(ES256)",
    "service-worker-allowed": "/",
    "set-cookie": ["access_token=x", "a=1"],
    "set-cookie2": "a=1",
    "set-login": "logged-out",
    "shared-storage-write": "clear",
    "strict-transport-security": "max-age=31536000",
    "timing-allow-origin": "*",
    "use-as-dictionary": 'match="/*"',
  };
  const OWN = {
    "cache-control": "max-age=60",
    "content-security-policy": "default-src 'self'",
    "content-type": "text/html",
    etag: '"x"',
    location: "/x",
    vary: "Origin",
    "www-authenticate": "Basic",
    "x-end": "to the end",
  };

  it("on the API are the target's own, and nothing that holds for our origin", () => {
    for (const [name, value] of Object.entries(ORIGIN_WIDE)) {
      assert.deepEqual(responseFields({ [name]: value }, API, undefined), {}, name);
    }
    const all = { ...OWN, ...ORIGIN_WIDE };
    assert.deepEqual(responseFields(all, API, undefined), { ...OWN, location: `${PREFIX}/x` });
  });

  /** With what a page that a browser shows with our cookie would act beside its document. */
  const BESIDE_THE_PAGE = {
    "authentication-info": "nextnonce=x",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
    "document-policy": "unsized-media=?0",
    "feature-policy": "camera *",
    link: '</x>; rel="preload", <https://evil.example>; rel=preconnect',
    "origin-trial": "token",
    "permissions-policy": "camera=*",
    sourcemap: "https://evil.example/x.map",
    "speculation-rules": '"/rules.json"',
    "supports-loading-mode": "credentialed-prerender",
    "www-authenticate": ['Basic realm="Log in to the control plane"', "Negotiate"],
  };

  it("for a page that has an origin of its own keep nothing that acts beside it; a program gets it", () => {
    const page = { ...API, isolated: true };
    for (const [name, value] of Object.entries(BESIDE_THE_PAGE)) {
      assert.deepEqual(responseFields({ [name]: value }, page, undefined), {}, name);
      assert.deepEqual(responseFields({ [name]: value }, API, undefined), { [name]: value }, name);
    }
    const { "www-authenticate": _challenge, ...kept } = OWN;
    assert.deepEqual(responseFields({ ...OWN, ...ORIGIN_WIDE }, page, undefined), {
      ...kept,
      location: `${PREFIX}/x`,
    });
  });

  it("have no challenge in our name, and none for credentials that are ours", () => {
    const name: string = "www-authenticate";
    const challenges = (value: string | string[], job: ForwardedRequest = API) =>
      responseFields({ [name]: value }, job, undefined)[name];
    for (const own of [
      'Bearer realm="turnabout"',
      "Bearer realm=turnabout",
      'Basic realm = "Turnabout login"',
      'Digest nonce="x", REALM="turnabout", qop=auth',
    ]) {
      assert.equal(challenges(own), undefined, own);
      assert.deepEqual(challenges([own, "Basic"]), ["Basic"], own);
    }
    for (const other of ["Basic", 'Basic realm="files"', 'Basic realm="not turnabout"', "Negotiate"]) {
      assert.equal(challenges(other), other, other);
      assert.equal(challenges(other, { ...API, credentials: "secret" }), undefined, other);
    }
    assert.equal(challenges('Basic realm="turnabout"', PROXY), 'Basic realm="turnabout"', "another origin");
    assert.equal(challenges(`Basic realm${" ".repeat(60_000)}`), `Basic realm${" ".repeat(60_000)}`);
  });

  it("on the forward proxy are all end-to-end fields: there a target is an origin of its own", () => {
    const all = { ...OWN, ...ORIGIN_WIDE };
    assert.deepEqual(responseFields({ ...all, connection: "x-hop", "x-hop": "1" }, PROXY, undefined), all);
  });

  it("have cookies where there is a path for them", () => {
    const headers = { "set-cookie": ["access_token=x", "a=1", "b=2; Path=/b"] };
    assert.deepEqual(responseFields(headers, { ...API, hasCookies: true }, undefined), {
      "set-cookie": [`a=1; Path=${PREFIX}/`, `b=2; Path=${PREFIX}/b`],
    });
    const none = { "set-cookie": ["access_token=x"] };
    assert.deepEqual(responseFields(none, { ...API, hasCookies: true }, undefined), {});
  });
});

describe("limitedCookies", () => {
  it("stay below the route, whatever their attributes are", () => {
    for (const [cookie, expected] of [
      ["a=1", `a=1; Path=${PREFIX}/`],
      ["a=1; Path=/", `a=1; Path=${PREFIX}/`],
      ["a=1; path=/app/x", `a=1; Path=${PREFIX}/app/x`],
      ["a=1; PATH = /x ;Path=/y", `a=1; Path=${PREFIX}/y`],
      ["a=1; Path=relative", `a=1; Path=${PREFIX}/`],
      ["a=1; Path", `a=1; Path=${PREFIX}/`],
      ["a=1; Path=/a=b", `a=1; Path=${PREFIX}/a=b`],
      ["a=1; Domain=example.com; Secure", `a=1; Secure; Path=${PREFIX}/`],
      [
        "a=b=c; HttpOnly; SameSite=Strict; Max-Age=5",
        `a=b=c; HttpOnly; SameSite=Strict; Max-Age=5; Path=${PREFIX}/`,
      ],
      ["__Secure-a=1; Secure", `__Secure-a=1; Secure; Path=${PREFIX}/`],
      [`a=1; Path=${PREFIX}`, `a=1; Path=${PREFIX}`],
      [`a=1; Path=${PREFIX}/x`, `a=1; Path=${PREFIX}/x`],
      [`a=1; Path=${PREFIX}x/`, `a=1; Path=${PREFIX}${PREFIX}x/`],
      ["xaccess_token=1", `xaccess_token=1; Path=${PREFIX}/`],
    ] as const) {
      assert.deepEqual(limitedCookies([cookie], PREFIX), [expected], cookie);
    }
  });

  it("have neither our cookie's name, nor none, nor one that is for a whole host", () => {
    for (const cookie of [
      "access_token=x",
      "access_token=",
      " access_token =x; Path=/",
      "\taccess_token\t=x",
      "=access_token=x",
      " =access_token=x",
      "access_token",
      "just a value",
      "",
      ";",
      "__Host-a=1; Secure; Path=/",
      "__host-a=1",
    ]) {
      assert.deepEqual(limitedCookies([cookie], PREFIX), [], cookie);
    }
  });
});
