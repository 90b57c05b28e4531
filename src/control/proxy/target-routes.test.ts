import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errorResponse } from "../../wire/error-response.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { CodedError } from "../../wire/errors.ts";
import { createIdentity } from "../auth/identity.ts";
import type { Identity } from "../auth/identity.ts";
import { runnerTargets, targetJob, TargetRoutes } from "./target-routes.ts";
import type { TargetRoute } from "./target-routes.ts";

const admin = createIdentity("admin", "h", { kind: "admin", runners: [] });
const alice = createIdentity("alice", "h", { kind: "user", runners: ["web"], targets: ["x"] });

const access = {
  mayDial: (identity: Identity, runner: string, target: string) => identity.mayDial(runner, target),
  groupOf: () => undefined,
};

function start(basePath = ""): TargetRoutes {
  return new TargetRoutes(basePath, [runnerTargets(access)]);
}

/** A route to the path and query that its parameters make. */
function route(path: string, more: Partial<TargetRoute> = {}): TargetRoute {
  return {
    path,
    methods: "all",
    kind: "both",
    summary: "",
    tag: "",
    resolve: ({ path: rest, query, ...values }, _request, identity) => {
      const found = Object.values(values).join(",");
      return targetJob({ runner: "r", target: "t" }, `${found} ${rest} ${query}`, identity);
    },
    ...more,
  };
}

/** `target.runner path`, the code of the refusal, or undefined where no route matches. */
function resolve(
  url: string,
  {
    as = alice,
    method = "GET",
    isWebSocket = false,
    routes = start(),
  }: { as?: Identity; method?: string; isWebSocket?: boolean; routes?: TargetRoutes } = {},
): string | undefined {
  try {
    const job = routes.resolve(url, { method, isWebSocket }, () => as);
    if (job !== undefined && "redirect" in job) return `308 ${job.redirect}`;
    return job && `${job.destination.target}.${job.destination.runner} ${job.path}`;
  } catch (error) {
    return error instanceof TurnaboutError ? error.code : String(error);
  }
}

describe("TargetRoutes", () => {
  it("passes the path and the query of a target as they were written", () => {
    const base = "/api/v1/runners/web/targets/x";
    for (const [rest, expected] of [
      ["", "/"],
      ["/", "/"],
      ["?a=1", "/?a=1"],
      ["/a//b/../%2e%2e/c?x=1&x=2#", "/a//b/../%2e%2e/c?x=1&x=2#"],
      ["/a?access_token=t&b=%20&=&c", "/a?access_token=t&b=%20&=&c"],
      ["/a?%zz=1", "/a?%zz=1"],
      ["/access_token=t", "/access_token=t"],
    ] as const) {
      assert.equal(resolve(`${base}${rest}`), `x.web ${expected}`, rest);
    }
  });

  it("identifies the caller only where a route matches", () => {
    const routes = start();
    const never = (): Identity => assert.fail("identified");
    for (const url of [
      "/",
      "/api/v1/runners",
      "/api/v1/runners/web",
      "/api/v1/runners/web/targets",
      "/api/v1/runners//targets/x/",
      "//api/v1/runners/web/targets/x/",
      "/x/api/v1/runners/web/targets/x/",
    ]) {
      assert.equal(routes.resolve(url, { method: "GET", isWebSocket: false }, never), undefined, url);
      assert.equal(routes.has(url), false, url);
    }
    assert.equal(routes.has("/api/v1/runners/web/targets/x?y"), true);
  });

  it("leads to targets that the caller may dial, and to no other", () => {
    assert.equal(resolve("/api/v1/runners/web/targets/y/"), "not_allowed");
    assert.equal(resolve("/api/v1/runners/webs/targets/x/"), "not_allowed");
    assert.equal(resolve("/api/v1/runners/w%65b/targets/x/"), "not_allowed", "ids are not decoded");
    assert.equal(resolve("/api/v1/runners/web/targets/y/", { as: admin }), "y.web /");
  });

  it("is below the base path only", () => {
    const routes = start("/base");
    assert.equal(resolve("/base/api/v1/runners/web/targets/x/a", { routes }), "x.web /a");
    assert.equal(resolve("/api/v1/runners/web/targets/x/a", { routes }), undefined);
    assert.equal(resolve("/basement/api/v1/runners/web/targets/x/a", { routes }), undefined);
    const [method, isWebSocket] = ["GET", false];
    const job = routes.resolve("/base/api/v1/runners/web/targets/x/a", { method, isWebSocket }, () => alice);
    assert.ok(job !== undefined && !("redirect" in job));
    assert.equal(job.mount?.path, "/base/api/v1/runners/web/targets/x");
  });

  it("takes the parameters, the rest of the path and the query from the template", () => {
    for (const [template, url, expected] of [
      ["/a/{x}/{path}", "/a/1/b/c?d", "t.r 1 /b/c ?d"],
      ["/a/{x}/{path}", "/a/1/", "t.r 1 / "],
      ["/a/{x}/{path}", "/a/1", undefined],
      ["/a/{x}/{path}", "/a/1?d", undefined],
      ["/a/{x}/b/{y}", "/a/1%2f/b/2?c/d?e", "t.r 1%2f,2 / ?c/d?e"],
      ["/a/{x}", "/a/1/2", undefined],
      ["/a/{x}", "/a/", undefined],
      ["/a.b/{x}", "/a.b/1", "t.r 1 / "],
      ["/a.b/{x}", "/axb/1", undefined],
    ] as const) {
      const routes = new TargetRoutes("", [route(template)]);
      assert.equal(resolve(url, { routes }), expected, `${template} ${url}`);
    }
    const routes = new TargetRoutes("", [
      route("/{x}", { patterns: { x: "[a-z]+" } }),
      route("/{y}/{path}", { isPathOptional: true }),
    ]);
    assert.equal(resolve("/a", { routes }), "t.r a / ");
    assert.equal(resolve("/A", { routes }), "t.r A / ", "the next one that matches");
  });

  it("refuses a method and a kind that the route has not", () => {
    const all = { method: "PROPFIND", isWebSocket: false };
    const [get, post, put, socket] = [
      { method: "GET" },
      { method: "POST" },
      { method: "PUT" },
      { method: "CONNECT", isWebSocket: true },
    ];
    const refused = "method_not_allowed";
    for (const [kind, methods, expected] of [
      ["both", "all", [true, true, true, true, true]],
      ["both", ["GET", "POST"], [true, true, false, true, false]],
      ["http", ["GET", "POST"], [true, true, false, false, false]],
      ["http", "all", [true, true, true, false, true]],
      ["websocket", ["GET"], [false, false, false, true, false]],
      ["both", [], [false, false, false, true, false]],
    ] as const) {
      const routes = new TargetRoutes("", [route("/a", { kind, methods })]);
      const got = [get, post, put, socket, all].map((one) => resolve("/a", { ...one, routes }) !== refused);
      assert.deepEqual(got, expected, `${kind} ${String(methods)}`);
    }
  });

  it("names the methods that the route has, in `Allow`", () => {
    for (const [kind, methods, isWebSocket, allow] of [
      ["http", ["GET", "POST"], false, "GET, POST"],
      ["http", ["GET"], true, "GET"],
      ["http", "all", true, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
      ["websocket", ["GET"], false, "GET"],
      ["both", [], false, ""],
    ] as const) {
      const routes = new TargetRoutes("", [route("/a", { kind, methods })]);
      assert.throws(
        () => routes.resolve("/a", { method: "DELETE", isWebSocket }, () => alice),
        (error: CodedError) => {
          assert.deepEqual([error.status, errorResponse(error).headers["allow"]], [405, allow]);
          return true;
        },
      );
    }
  });

  it("lets a route redirect, relative to its URL, and passes the route to the one who identifies", () => {
    const routes = new TargetRoutes("/base", [
      route("/a", { hasPages: true, resolve: ({ query }) => ({ redirect: `a/${query}` }) }),
    ]);
    assert.equal(resolve("/base/a?b", { routes }), "308 a/?b");
    const hasPages: unknown[] = [];
    routes.resolve("/base/a", { method: "GET", isWebSocket: false }, (found) => {
      hasPages.push(found.hasPages);
      return alice;
    });
    assert.deepEqual(hasPages, [true]);
  });

  it("refuses strangers before it looks at the method", () => {
    const authorize = (): never => {
      throw new TurnaboutError("not_found", "hidden");
    };
    const routes = new TargetRoutes("", [route("/a", { methods: ["GET"], authorize })]);
    for (const method of ["GET", "POST"]) assert.equal(resolve("/a", { method, routes }), "not_found");
  });
});
