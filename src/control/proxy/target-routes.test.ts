import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { createIdentity } from "../auth/identity.ts";
import type { Identity } from "../auth/identity.ts";
import { Policy } from "../../helix/sessions/policy.ts";
import { TargetRoutes } from "./target-routes.ts";
import type { TargetRoutesContext } from "./target-routes.ts";
import { StreamRate } from "../../helix/moonlight/credentials.ts";
import type { Instances } from "../../helix/instances/instances.ts";
import { openDatabase } from "../store/database.ts";
import { SessionStore } from "../../helix/store/sessions.ts";

const admin = createIdentity("admin", "h", { kind: "admin", runners: [] });
const alice = createIdentity("alice", "h", {
  kind: "user",
  runners: ["web", "wolf-b"],
  targets: ["x", "wolf"],
});

function start(more: Partial<TargetRoutesContext> = {}): TargetRoutes {
  const sessions = new SessionStore(openDatabase(undefined));
  sessions.insert({
    id: "ses_1",
    owner: "alice",
    name: "n",
    instanceId: "i7",
    lobbyId: "l",
    lobbyPin: undefined,
    state: "running",
    reason: undefined,
    spec: { width: 1, height: 1, refreshRate: 1 },
    createdAtMs: 1,
    updatedAtMs: 1,
  });
  const instances = {
    get: (id: string) => {
      if (id !== "b") throw new TurnaboutError("instance_unknown", id);
    },
  } as unknown as Instances;
  return new TargetRoutes({
    policy: new Policy(sessions),
    instances,
    rate: new StreamRate(),
    moonlightCredentials: "secret",
    basePath: "",
    ...more,
  });
}

/** `target.runner path`, the code of the refusal, or nothing for a URL that is none of ours. */
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

  it("asks who it is only where the URL is one of ours", () => {
    const routes = start();
    const never = (): Identity => assert.fail("asked");
    for (const url of [
      "/",
      "/api/v1/runners",
      "/api/v1/runners/web",
      "/api/v1/runners/web/targets",
      "/api/v1/runners//targets/x/",
      "/api/v1/wolf",
      "/api/v1/wolfs/x",
      "/api/v1/external-agents/ses_1",
      "/api/v1/external-agents/ses_1/Screenshot",
      "/api/v1/external-agents/ses_1/ws/",
      "/api/v1/external-agents/ses_1/a/b",
      "/api/v1/stream/",
      "/api/v1/stream/ses_1/x",
      "/moonlights",
      "/x/moonlight/",
      "//moonlight/",
    ]) {
      assert.equal(routes.resolve(url, { method: "GET", isWebSocket: false }, never), undefined, url);
    }
  });

  it("leads to targets that the caller may dial, and to no other", () => {
    assert.equal(resolve("/api/v1/runners/web/targets/y/"), "not_allowed");
    assert.equal(resolve("/api/v1/runners/webs/targets/x/"), "not_allowed");
    assert.equal(resolve("/api/v1/runners/sandbox-ses_1/targets/anything/"), "anything.sandbox-ses_1 /");
    assert.equal(resolve("/api/v1/runners/w%65b/targets/x/"), "not_allowed", "ids are not decoded");
    assert.equal(resolve("/api/v1/runners/web/targets/y/", { as: admin }), "y.web /");
  });

  it("leads to the Wolf that is named, and to none by default", () => {
    assert.equal(resolve("/api/v1/wolf/lobbies"), "bad_request");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id="), "bad_request");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id=a"), "not_allowed");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id=zz", { as: admin }), "instance_unknown");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id=b"), "wolf.wolf-b /api/v1/lobbies");
    assert.equal(
      resolve("/api/v1/wolf/a/b?x=1&wolf%5Finstance_id=b&y=2&wolf_instance_id=a"),
      "wolf.wolf-b /api/v1/a/b?x=1&y=2",
    );
  });

  it("says which parameter is missing", () => {
    const routes = start();
    for (const [url, name] of [
      ["/api/v1/wolf/lobbies", "wolf_instance_id"],
      ["/moonlight/api/apps", "session_id"],
    ] as const) {
      const asked = { method: "GET", isWebSocket: false };
      assert.throws(() => routes.resolve(url, asked, () => alice), {
        details: [`${name}: required in the query`],
      });
    }
  });

  it("leads to a sandbox by the methods that each of its routes has", () => {
    const agent = "/api/v1/external-agents/ses_1";
    for (const [name, methods] of [
      ["screenshot", ["GET", "HEAD"]],
      ["clipboard", ["GET", "POST"]],
      ["upload", ["POST"]],
      ["input", ["POST"]],
      ["exec", ["POST"]],
    ] as const) {
      for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]) {
        const isAllowed = (methods as readonly string[]).includes(method);
        const expected = isAllowed ? `screenshot.sandbox-ses_1 /${name}?q=1` : "method_not_allowed";
        assert.equal(resolve(`${agent}/${name}?q=1`, { method }), expected, `${method} ${name}`);
      }
      assert.equal(resolve(`${agent}/${name}`, { isWebSocket: true }), "method_not_allowed");
    }
    for (const name of ["input", "stream", "clipboard"]) {
      const expected = `screenshot.sandbox-ses_1 /ws/${name}`;
      assert.equal(resolve(`${agent}/ws/${name}`, { isWebSocket: true }), expected);
      assert.equal(resolve(`${agent}/ws/${name}`), "method_not_allowed");
    }
    for (const url of [`${agent}/secrets`, `${agent}/constructor`]) {
      assert.equal(resolve(url), "not_found", url);
    }
    assert.equal(resolve(`${agent}/ws/other`, { isWebSocket: true }), "not_found");
    assert.equal(resolve("/api/v1/external-agents/ses_2/screenshot"), "session_unknown");
    assert.equal(resolve("/api/v1/external-agents/..%2f/screenshot"), "session_unknown");
  });

  it("leads to the Moonlight of the session's instance, under each of its names", () => {
    for (const [url, expected] of [
      ["/moonlight/api/apps?session_id=ses_1", "/api/apps"],
      [
        "/moonlight/apps?host_id=0&session_id=agent-ses_1&force_refresh=1",
        "/api/apps?host_id=0&force_refresh=1",
      ],
      ["/moonlight/host/stream?session_id=agent-ses_1-2-x", "/api/host/stream"],
      ["/moonlight?session_id=ses_1", "/"],
      ["/moonlight/?session_id=ses_1", "/"],
      ["/moonlight/config.js?session_id=ses_1", "/config.js"],
      ["/moonlight/api?session_id=ses_1", "/api"],
      ["/moonlight/apis?session_id=ses_1", "/api/apis"],
    ] as const) {
      assert.equal(resolve(url, { as: admin }), `moonlight.moonlight-i7 ${expected}`, url);
    }
    for (const [url, code] of [
      ["/moonlight/api/apps", "bad_request"],
      ["/moonlight/api/apps?session_id=", "bad_request"],
      ["/moonlight/api/apps?session_id=agent-", "session_unknown"],
      ["/moonlight/api/apps?session_id=agent-ses_2-ses_1", "session_unknown"],
      ["/moonlight/api?session_id=ses_1", "not_allowed"],
      ["/moonlight/host?host_id=0&session_id=ses_1", "not_allowed"],
      ["/moonlight/api/sessions?session_id=ses_1", "not_allowed"],
      ["/moonlight/api/apps?session_id=xagent-ses_1", "session_unknown"],
      ["/moonlight/api/apps?session_id=ses_2&session_id=ses_1", "session_unknown"],
      ["/api/v1/stream/ses_1", "method_not_allowed"],
    ] as const) {
      assert.equal(resolve(url), code, url);
    }
    const without = start({ moonlightCredentials: undefined });
    assert.equal(resolve("/moonlight/api/apps?session_id=ses_1", { routes: without }), "not_found");
    assert.equal(resolve("/moonlight/api/apps?session_id=ses_2", { routes: without }), "session_unknown");
  });

  it("counts a session's WebSockets only when they are admitted", () => {
    const routes = start();
    const ask = (as: Identity): (() => void) => {
      const asked = { method: "GET", isWebSocket: true };
      const { admit } = routes.resolve("/api/v1/stream/ses_1", asked, () => as) ?? {};
      return admit ?? assert.fail("nothing to admit");
    };
    const [first, second] = [ask(alice), ask(admin)];
    second();
    assert.throws(first, { code: "rate_limited" });
    assert.throws(ask(admin), { code: "rate_limited" });
    assert.equal(resolve("/moonlight/apps?session_id=ses_1", { routes }), "moonlight.moonlight-i7 /api/apps");
  });

  it("is below the base path only", () => {
    const routes = start({ basePath: "/base" });
    assert.equal(resolve("/base/api/v1/runners/web/targets/x/a", { routes }), "x.web /a");
    assert.equal(resolve("/api/v1/runners/web/targets/x/a", { routes }), undefined);
    assert.equal(resolve("/basement/api/v1/runners/web/targets/x/a", { routes }), undefined);
  });
});
