import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError } from "../wire/errors.ts";
import { Access } from "../control/auth/access.ts";
import { HelixError } from "./errors.ts";
import { createIdentity } from "../control/auth/identity.ts";
import type { Identity } from "../control/auth/identity.ts";
import { runnerTargets, TargetRoutes } from "../control/proxy/target-routes.ts";
import { Store } from "../control/store/store.ts";
import { OpenedStreams } from "./moonlight/opened-streams.ts";
import { StreamRate } from "./moonlight/stream-rate.ts";
import { helixTargetRoutes } from "./routes.ts";
import type { HelixRoutesContext } from "./routes.ts";
import { Policy } from "./sessions/policy.ts";
import type { Instance } from "./store/instances.ts";
import { HELIX_MIGRATIONS } from "./store/migrations.ts";
import { SessionStore } from "./store/sessions.ts";

const admin = createIdentity("admin", "h", { kind: "admin", runners: [] });
const alice = createIdentity("alice", "h", {
  kind: "user",
  runners: ["web", "wolf-b"],
  targets: ["x", "wolf"],
});

function start(more: Partial<HelixRoutesContext> = {}): TargetRoutes {
  const sessions = new SessionStore(new Store({ migrations: [HELIX_MIGRATIONS] }));
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
  const policy = new Policy(sessions);
  const access = new Access();
  access.add(policy);
  const instances = {
    get: (id: string) => {
      if (id !== "b") throw new HelixError("instance_unknown", id);
      return {} as Instance;
    },
  };
  return new TargetRoutes("", [
    runnerTargets(access),
    ...helixTargetRoutes({
      access,
      policy,
      instances,
      rate: new StreamRate(),
      opened: new OpenedStreams(),
      runners: { isReachable: () => false },
      moonlightCredentials: "secret",
      streams: { add: () => {}, forget: () => {}, has: () => false },
      allowedOrigins: [],
      ...more,
    }),
  ]);
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
    return error instanceof CodedError ? error.code : String(error);
  }
}

describe("Helix's routes", () => {
  it("match nothing beside their paths", () => {
    const routes = start();
    const never = (): Identity => assert.fail("identified");
    for (const url of [
      "/api/v1/wolf",
      "/api/v1/wolf?wolf_instance_id=b",
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

  it("add a session's sandbox to what its owner may dial", () => {
    assert.equal(resolve("/api/v1/runners/sandbox-ses_1/targets/anything/"), "anything.sandbox-ses_1 /");
    assert.equal(resolve("/api/v1/runners/sandbox-ses_2/targets/anything/"), "not_allowed");
  });

  it("lead to a desktop's own agent where that alone is there", () => {
    const path = "/api/v1/external-agents/ses_1/screenshot";
    const reaching = (...ids: string[]): TargetRoutes =>
      start({ runners: { isReachable: (id) => ids.includes(id) } });
    const [sandbox, desktop] = [
      "screenshot.sandbox-ses_1 /screenshot",
      "screenshot.desktop-ses_1 /screenshot",
    ];
    assert.equal(resolve(path, { routes: reaching() }), sandbox);
    assert.equal(resolve(path, { routes: reaching("desktop-ses_1") }), desktop);
    assert.equal(resolve(path, { routes: reaching("desktop-ses_1", "sandbox-ses_1") }), sandbox);
    assert.equal(resolve(path, { routes: reaching("desktop-ses_2") }), sandbox);
  });

  it("lead to the Wolf that is named, and to none by default", () => {
    assert.equal(resolve("/api/v1/wolf/lobbies"), "bad_request");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id="), "bad_request");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id=a"), "not_allowed");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id=zz", { as: admin }), "instance_unknown");
    assert.equal(resolve("/api/v1/wolf/lobbies?wolf_instance_id=b"), "wolf.wolf-b /api/v1/lobbies");
    assert.equal(
      resolve("/api/v1/wolf/a/b?x=1&wolf%5Finstance_id=b&y=2&wolf_instance_id=b"),
      "wolf.wolf-b /api/v1/a/b?x=1&y=2",
    );
  });

  it("name the parameter that is missing or has two values: another server might take the other one", () => {
    const routes = start();
    for (const [url, name] of [
      ["/api/v1/wolf/lobbies", "wolf_instance_id"],
      ["/api/v1/wolf/lobbies?wolf_instance_id=b&wolf_instance_id=a", "wolf_instance_id"],
      ["/api/v1/wolf/lobbies?wolf_instance_id=b&x=1&wolf%5finstance_id=", "wolf_instance_id"],
      ["/moonlight/api/apps", "session_id"],
      ["/moonlight/api/apps?session_id=ses_1&session%5Fid=ses_2", "session_id"],
      ["/moonlight/api/host/stream?session_id=ses_1&session_id=", "session_id"],
    ] as const) {
      const request = { method: "GET", isWebSocket: false };
      assert.throws(() => routes.resolve(url, request, () => alice), {
        details: [`${name}: required in the query, with one value`],
      });
    }
  });

  it("lead to a sandbox by the methods that each of them has", () => {
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
    assert.equal(resolve(`${agent}/ws/other`), "not_found");
    for (const request of [{ method: "DELETE" }, { isWebSocket: true }]) {
      const url = "/api/v1/external-agents/ses_2/screenshot";
      assert.equal(resolve(url, request), "session_unknown", "its methods are not shown to strangers");
    }
    assert.equal(resolve("/api/v1/external-agents/ses_2/screenshot"), "session_unknown");
    assert.equal(resolve("/api/v1/external-agents/..%2f/screenshot"), "session_unknown");
  });

  it("lead to the Moonlight of the session's instance, under each of its names", () => {
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
      ["/moonlight/api/apps?session_id=ses_2&session_id=ses_1", "bad_request"],
      ["/api/v1/stream/ses_1", "method_not_allowed"],
      ["/api/v1/stream/ses_2", "method_not_allowed"],
    ] as const) {
      assert.equal(resolve(url), code, url);
    }
    const without = start({ moonlightCredentials: undefined });
    assert.equal(resolve("/moonlight/api/apps?session_id=ses_1", { routes: without }), "not_found");
    assert.equal(resolve("/moonlight/api/apps?session_id=ses_2", { routes: without }), "session_unknown");
  });

  it("lead to Moonlight Web's page of the session in the path, and to no other", () => {
    for (const [url, expected] of [
      ["/moonlight/s/ses_1", "308 ses_1/"],
      ["/moonlight/s/ses_1?a=1&access_token=x", "308 ses_1/?a=1"],
      ["/moonlight/s/ses_1/", "moonlight.moonlight-i7 /"],
      [
        "/moonlight/s/ses_1/stream.html?hostId=0&access%5Ftoken=x",
        "moonlight.moonlight-i7 /stream.html?hostId=0",
      ],
      [
        "/moonlight/s/ses_1/api/host?host_id=0&session_id=ses_2",
        "moonlight.moonlight-i7 /api/host?host_id=0&session_id=ses_2",
      ],
      ["/moonlight/s/ses_1/hosts", "not_allowed"],
      ["/moonlight/s/ses_1/api/sessions", "not_allowed"],
      ["/moonlight/s/ses_1/../ses_2/", "not_allowed"],
      ["/moonlight/s/ses_1/%2e%2e/ses_2/", "not_allowed"],
      ["/moonlight/s/ses_1//api/sessions", "not_allowed"],
      ["/moonlight/s/ses_1%2f..%2fses_2/", "session_unknown"],
      ["/moonlight/s/ses_2/", "session_unknown"],
      ["/moonlight/s/ses_2", "session_unknown"],
      ["/moonlight/s/SES_1/", "session_unknown"],
      ["/moonlight/s/agent-ses_1/", "session_unknown"],
      ["/moonlight/s/./ses_1/", "session_unknown"],
      ["/moonlight/s/ses_2/?session_id=ses_1", "session_unknown"],
      ["/moonlight/s/", "bad_request"],
      ["/moonlight/s", "bad_request"],
      ["/moonlight/s//ses_1/", "bad_request"],
    ] as const) {
      assert.equal(resolve(url), expected, url);
    }
    assert.equal(resolve("/moonlight/s/ses_1", { method: "POST" }), "method_not_allowed");
    assert.equal(resolve("/moonlight/s/ses_1", { isWebSocket: true }), "method_not_allowed");
    assert.equal(resolve("/moonlight/s/ses_2", { method: "POST" }), "session_unknown");
    assert.equal(
      resolve("/moonlight/s/ses_1/api/sessions", { as: admin }),
      "moonlight.moonlight-i7 /api/sessions",
    );
  });

  it("read the first message of the WebSockets that name a session in it, and of no other", () => {
    const request = { method: "GET", isWebSocket: true };
    for (const [url, isRead] of [
      ["/api/v1/stream/ses_1?x", true],
      ["/moonlight/host/stream?session_id=ses_1", true],
      ["/moonlight/api/ws/stream?session_id=ses_1", true],
      ["/moonlight/s/ses_1/api/host/stream", true],
      ["/moonlight/s/ses_1/api/host/stream/web_socket", true],
      ["/moonlight/s/ses_1/host/stream", false],
      ["/moonlight/api/ws/echo?session_id=ses_1", false],
    ] as const) {
      const job = start().resolve(url, request, () => admin) ?? assert.fail(url);
      assert.equal("fromCaller" in job && job.fromCaller !== undefined, isRead, url);
    }
  });

  it("count a session's WebSockets only when they are admitted", () => {
    const routes = start();
    const admitted = (as: Identity): (() => void) => {
      const request = { method: "GET", isWebSocket: true };
      const job = routes.resolve("/api/v1/stream/ses_1", request, () => as) ?? assert.fail("no route");
      return ("admit" in job ? job.admit : undefined) ?? assert.fail("nothing to admit");
    };
    const [first, second] = [admitted(alice), admitted(admin)];
    second();
    assert.throws(first, { code: "rate_limited" });
    assert.throws(admitted(admin), { code: "rate_limited" });
    assert.equal(resolve("/moonlight/apps?session_id=ses_1", { routes }), "moonlight.moonlight-i7 /api/apps");
  });
});
