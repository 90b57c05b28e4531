/**
 * Who may do what: every route with every kind of caller. The routes come from the OpenAPI document and from the table of
 * the routes to targets, so that a route without an expectation fails here.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Access } from "../../../../src/control/auth/access.ts";
import { runnerTargets } from "../../../../src/control/proxy/target-routes.ts";
import type { TargetRoute } from "../../../../src/control/proxy/target-routes.ts";
import { helixTargetRoutes } from "../../../../src/helix/routes.ts";
import type { HelixRoutesContext } from "../../../../src/helix/routes.ts";
import { api } from "../../../support/api.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { listSessions } from "../sessions-stand.ts";
import type { SessionView } from "../sessions-stand.ts";
import {
  absolute,
  connectByLine,
  connectByStream,
  endpoint,
  get,
  outcome,
  send,
  signIn,
  socket,
} from "./matrix-calls.ts";
import type { Call } from "./matrix-calls.ts";
import { CALLERS, startMatrix } from "./matrix-stand.ts";
import type { MatrixStand } from "./matrix-stand.ts";

let here: MatrixStand;

before(async () => {
  here = await startMatrix();
});

after(async () => {
  await here[Symbol.asyncDispose]();
  await assertNothingOpen();
});

interface Row {
  call: Call;
  /** In the order of {@link CALLERS}. */
  expected: string;
}

const PUBLIC = "ok ok ok ok ok ok ok";
const ANY_TOKEN = "401 ok ok ok ok ok 401";
const ADMIN_ONLY = "401 403 403 403 403 ok 401";
/** Other callers do not learn that the session exists. */
const OWNER = "401 404 ok 404 404 ok 401";
const NOT_THERE = "401 404 404 404 404 404 401";
/** A destination named by its runner is refused before anyone looks whether it exists. */
const DIAL_OWN = "401 403 ok 403 403 ok 401";
const PROXY_OWN = "407 403 ok 403 403 ok 407";
/** Root on its host: admins only, not the owner of the session. */
const ADMIN_DIAL = "401 403 403 403 403 ok 401";
const ADMIN_PROXY = "407 403 403 403 403 ok 407";

/** Shared by all sessions of the instance: refused to the owner of one of them too. */
const INSTANCE = "401 404 403 404 404 ok 401";
/** For its owner there is the session, and no such stream. */
const UNKNOWN_STREAM = "401 404 404 404 404 ok 401";
/** What a viewer's page calls. */
const VIEWERS = ["/", "/config.js", "/api/authenticate", "/api/hosts", "/api/apps", "/api/app/image"];
const ADMINISTRATION: readonly [string, string][] = [
  ["GET", "/api/sessions"],
  ["GET", "/api/admin/status"],
  ["GET", "/api/host"],
  ["PUT", "/api/host"],
  ["DELETE", "/api/host"],
  ["POST", "/api/host/cancel"],
  ["POST", "/api/host/wake"],
  ["POST", "/api/pair"],
];

/** What Moonlight Web's page calls, in any of its versions, below the session's path. */
const PAGE: readonly [string, string][] = [
  ...["/", "/stream.html", "/api/authenticate", "/api/hosts", "/api/apps?host_id=0", "/api/app/image"].map(
    (path): [string, string] => ["GET", path],
  ),
  ...["/api/user", "/api/role", "/api/settings/default", "/api/settings/permissions"].map(
    (path): [string, string] => ["GET", path],
  ),
  ["OPTIONS", "/api/host/stream/webrtc"],
  ["POST", "/api/host/stream/webrtc"],
];
const PAGE_ADMINISTRATION: readonly [string, string][] = [
  ...ADMINISTRATION.filter(([method, path]) => method !== "GET" || path !== "/api/host"),
  ["POST", "/api/host"],
  ["PATCH", "/api/host"],
  ["POST", "/api/login"],
  ["GET", "/api/users"],
  ["GET", "/api/user?user_id=1"],
  ["PATCH", "/api/user"],
  ["GET", "/api/roles"],
  ["PUT", "/api/role/default"],
];

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

function via({ runner }: SessionView): string {
  return `/api/v1/runners/${runner}/targets/screenshot`;
}

function viaDocker({ runner }: SessionView, name = "docker"): string {
  return `/api/v1/runners/${runner}/targets/${name}/info`;
}

/** By `METHOD path`, `WebSocket path` or `none path` for a route; names in parentheses are further calls. */
function rows(): Map<string, Row> {
  const { session } = here;
  const agent = `/api/v1/external-agents/${session.id}`;
  const id = session.id;
  const entries: [string, Call, string][] = [
    ["GET /healthz", get("/healthz"), PUBLIC],
    ["GET /readyz", get("/readyz"), PUBLIC],
    ["GET /openapi.json", get("/openapi.json"), PUBLIC],
    ["GET /docs", get("/docs"), PUBLIC],
    ["GET /", get("/"), PUBLIC],
    ["GET /page/{file}", get("/page/absent.js"), "404 404 404 404 404 404 404"],
    ["GET /metrics", get("/metrics"), ADMIN_ONLY],
    ["GET /api/v1/revdial", get("/api/v1/revdial?runnerid=x"), "401 426 426 426 426 426 401"],
    ["GET /api/v1/runners", get("/api/v1/runners"), ANY_TOKEN],
    ["GET /api/v1/runners/{id}", get(`/api/v1/runners/${session.runner}`), OWNER],
    ["GET /api/v1/runners/{id}/ping", get(`/api/v1/runners/${session.runner}/ping`), OWNER],
    ["GET /api/v1/runners/{id}/metrics", get(`/api/v1/runners/${session.runner}/metrics`), OWNER],
    ["GET /api/v1/runners/{id}/diagnosis", get(`/api/v1/runners/${session.runner}/diagnosis`), ADMIN_ONLY],
    ["GET /api/v1/runners/{id}/history", get(`/api/v1/runners/${session.runner}/history`), OWNER],
    ["DELETE /api/v1/runners/{id}", send("DELETE", () => here.spareRunner()), ADMIN_ONLY],
    ["POST /api/v1/sessions", send("POST", "/api/v1/sessions", { name: "x" }), "401 ok ok 403 403 ok 401"],
    ["GET /api/v1/sessions", get("/api/v1/sessions"), ANY_TOKEN],
    ["GET /api/v1/sessions/{id}", get(`/api/v1/sessions/${id}`), OWNER],
    [
      "DELETE /api/v1/sessions/{id}",
      send("DELETE", async () => `/api/v1/sessions/${await here.newSessionId()}`),
      OWNER,
    ],
    ["GET /api/v1/wolf-instances", get("/api/v1/wolf-instances"), ADMIN_ONLY],
    ["GET /api/v1/wolf-instances/{id}", get("/api/v1/wolf-instances/a"), ADMIN_ONLY],
    ["DELETE /api/v1/wolf-instances/{id}", send("DELETE", () => here.spareInstance()), ADMIN_ONLY],
    [
      "POST /api/v1/wolf-instances/{id}/heartbeat",
      send("POST", "/api/v1/wolf-instances/a/heartbeat", { max_sandboxes: 1_000 }),
      "401 403 403 ok 403 ok 401",
    ],
    [
      "POST /api/v1/tokens",
      (url, token) =>
        outcome(url, "POST", "/api/v1/tokens", token, { id: `made-${here.unique()}`, kind: "user" }),
      ADMIN_ONLY,
    ],
    ["GET /api/v1/tokens", get("/api/v1/tokens"), ADMIN_ONLY],
    ["DELETE /api/v1/tokens", send("DELETE", "/api/v1/tokens?owner=no-such-user"), ADMIN_ONLY],
    [
      "DELETE /api/v1/tokens/{id}",
      send("DELETE", async () => `/api/v1/tokens/${await here.spareToken()}`),
      ADMIN_ONLY,
    ],
    ["GET /api/v1/tokens/{id}/opened", get("/api/v1/tokens/alice/opened"), ADMIN_ONLY],
    ["POST /api/v1/sign-in", signIn, "400 ok ok 403 403 ok 401"],
    ["GET /api/v1/sign-in", get("/api/v1/sign-in"), ANY_TOKEN],
    ["DELETE /api/v1/sign-in", send("DELETE", "/api/v1/sign-in"), ANY_TOKEN],
    ["GET /api/v1/events", get("/api/v1/events"), ANY_TOKEN],
    ["GET /api/v1/requests", get("/api/v1/requests"), "401 ok ok 403 403 ok 401"],
    ["GET /api/v1/requests/{id}", get("/api/v1/requests/none"), "401 404 404 403 403 404 401"],
    ["GET /api/v1/history", get("/api/v1/history"), ADMIN_ONLY],
    ["GET /api/v1/audit", get("/api/v1/audit"), ADMIN_ONLY],
    ["GET /api/v1/access-log", get("/api/v1/access-log"), "401 ok ok 403 403 ok 401"],
    ["GET /api/v1/diagnosis", get("/api/v1/diagnosis"), ADMIN_ONLY],
    ["GET /api/v1/external-agents/{session}/screenshot", get(`${agent}/screenshot?format=png`), OWNER],
    [
      "HEAD /api/v1/external-agents/{session}/screenshot",
      send("HEAD", `${agent}/screenshot?format=png`),
      OWNER,
    ],
    ["GET /api/v1/external-agents/{session}/clipboard", get(`${agent}/clipboard`), OWNER],
    ["POST /api/v1/external-agents/{session}/clipboard", send("POST", `${agent}/clipboard`, {}), OWNER],
    ["POST /api/v1/external-agents/{session}/upload", send("POST", `${agent}/upload`, {}), OWNER],
    ["POST /api/v1/external-agents/{session}/input", send("POST", `${agent}/input`, {}), OWNER],
    ["POST /api/v1/external-agents/{session}/exec", send("POST", `${agent}/exec`, {}), OWNER],
    ["GET /api/v1/external-agents/{session}/ws/input", socket(`${agent}/ws/input`), OWNER],
    ["GET /api/v1/external-agents/{session}/ws/stream", socket(`${agent}/ws/stream`), OWNER],
    ["GET /api/v1/external-agents/{session}/ws/clipboard", socket(`${agent}/ws/clipboard`), OWNER],
    ["none /api/v1/external-agents/{session}/{name}", get(`${agent}/secrets`), NOT_THERE],
    ["none /api/v1/external-agents/{session}/ws/{name}", socket(`${agent}/ws/secrets`), NOT_THERE],
    [
      "GET /api/v1/stream/{session}",
      socket(async () => `/api/v1/stream/${await here.newSessionId()}`),
      OWNER,
    ],
    [
      "WebSocket /moonlight/{path}",
      socket(async () => `/moonlight/host/stream?session_id=${await here.newSessionId()}`),
      OWNER,
    ],
    [
      "(administration) WebSocket /moonlight/api/ws/x",
      socket(async () => `/moonlight/api/ws/x?session_id=${await here.newSessionId()}`),
      INSTANCE,
    ],
    ...VIEWERS.map((path): [string, Call, string] => [
      `(viewer) GET /moonlight${path}`,
      get(`/moonlight${path}?session_id=${id}`),
      OWNER,
    ]),
    ...ADMINISTRATION.map(([method, path]): [string, Call, string] => [
      `(administration) ${method} /moonlight${path}`,
      send(method, `/moonlight${path}?session_id=${id}`, method === "GET" ? undefined : {}),
      INSTANCE,
    ]),
    ["GET /moonlight/s/{session}", get(`/moonlight/s/${id}`), OWNER],
    ["HEAD /moonlight/s/{session}", send("HEAD", `/moonlight/s/${id}`), OWNER],
    [
      "WebSocket /moonlight/s/{session}/{path}",
      socket(async () => `/moonlight/s/${await here.newSessionId()}/api/host/stream`),
      OWNER,
    ],
    [
      "(administration) WebSocket /moonlight/s/{session}/api/ws/x",
      socket(async () => `/moonlight/s/${await here.newSessionId()}/api/ws/x`),
      INSTANCE,
    ],
    ...PAGE.map(([method, path]): [string, Call, string] => [
      `(page) ${method} /moonlight/s/{session}${path}`,
      send(method, `/moonlight/s/${id}${path}`),
      OWNER,
    ]),
    ...["PATCH", "DELETE"].map((method): [string, Call, string] => [
      `(no stream of the session's) ${method} /moonlight/s/{session}/api/host/stream/webrtc/1`,
      send(method, `/moonlight/s/${id}/api/host/stream/webrtc/1`, {}),
      UNKNOWN_STREAM,
    ]),
    ...PAGE_ADMINISTRATION.map(([method, path]): [string, Call, string] => [
      `(administration) ${method} /moonlight/s/{session}${path}`,
      send(method, `/moonlight/s/${id}${path}`, method === "GET" ? undefined : {}),
      INSTANCE,
    ]),
    ["WebSocket /api/v1/runners/{id}/targets/{target}/{path}", socket(`${via(session)}/x`), DIAL_OWN],
    ["WebSocket /api/v1/wolf/{path}", socket("/api/v1/wolf/x?wolf_instance_id=a"), ADMIN_ONLY],
    ["(Docker) /api/v1/runners/{id}/targets/docker/{path}", get(viaDocker(session)), ADMIN_DIAL],
    ["(Docker) the same as a WebSocket", socket(viaDocker(session)), ADMIN_DIAL],
    ["(Docker) the name in capitals", get(viaDocker(session, "DOCKER")), "401 403 400 403 403 400 401"],
    ["(Docker) the name escaped", get(viaDocker(session, "%64ocker")), "401 403 400 403 403 400 401"],
    ["(Docker) GET http://", absolute(session, "docker"), ADMIN_PROXY],
    ["(Docker) CONNECT on HTTP/1.1", connectByLine(session, "docker"), ADMIN_PROXY],
    ["(Docker) CONNECT in capitals", connectByLine(session, "DOCKER"), ADMIN_PROXY],
    ["(Docker) CONNECT on HTTP/2", connectByStream(session, undefined, "docker"), ADMIN_PROXY],
    ["(forward proxy) GET http://", absolute(session), PROXY_OWN],
    ["(forward proxy) CONNECT on HTTP/1.1", connectByLine(session), PROXY_OWN],
    ["(forward proxy) CONNECT on HTTP/2", connectByStream(session), PROXY_OWN],
    ["(forward proxy) WebSocket by RFC 8441", connectByStream(session, "websocket"), PROXY_OWN],
    [
      "(agent endpoint) a sandbox",
      endpoint(async () => `sandbox-${await here.newSessionId()}`),
      "401 403 403 403 403 ok 401",
    ],
    ["(agent endpoint) its own sandbox", endpoint(() => session.runner), "401 403 403 403 ok 409 401"],
    ["(agent endpoint) a Wolf", endpoint(() => `wolf-new-${here.unique()}`), "401 403 403 ok 403 ok 401"],
    [
      "(agent endpoint) as /revdial",
      endpoint(() => `wolf-new-${here.unique()}`, "/revdial"),
      "401 403 403 ok 403 ok 401",
    ],
  ];
  for (const method of METHODS) {
    const body = ["POST", "PUT", "PATCH"].includes(method) ? {} : undefined;
    const moonlight = `/moonlight/api/x?session_id=${id}`;
    entries.push(
      [
        `${method} /api/v1/runners/{id}/targets/{target}/{path}`,
        send(method, `${via(session)}/x`, body),
        DIAL_OWN,
      ],
      [
        `${method} /api/v1/wolf/{path}`,
        send(method, "/api/v1/wolf/lobbies?wolf_instance_id=a", body),
        ADMIN_ONLY,
      ],
      [`${method} /moonlight/{path}`, send(method, moonlight, body), INSTANCE],
      [`${method} /moonlight/s/{session}/{path}`, send(method, `/moonlight/s/${id}/api/x`, body), INSTANCE],
    );
  }
  return new Map(entries.map(([name, call, expected]) => [name, { call, expected }]));
}

/** All names that need a row: what the document lists, and of the table also WebSockets and paths that only refuse. */
function routeNames(): Set<string> {
  const described = Object.entries(here.document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const table = [runnerTargets(new Access()), ...helixTargetRoutes({} as HelixRoutesContext)];
  return new Set([...described, ...table.flatMap(namesOf)]);
}

function namesOf({ path, kind, methods }: TargetRoute): string[] {
  if (methods.length === 0) return [`none ${path}`];
  const listed = methods === "all" ? METHODS : methods;
  return [...listed, ...(kind === "both" ? ["WebSocket"] : [])].map((name) => `${name} ${path}`);
}

describe("authorization", () => {
  it("has a row for every route, and none for a route that does not exist", () => {
    const [routes, named] = [routeNames(), new Set(rows().keys())];
    assert.ok(routes.size >= 60, `${routes.size} routes`);
    assert.deepEqual([...routes.difference(named)], [], "routes without a row");
    const further = [...named.difference(routes)];
    assert.deepEqual(
      further.filter((name) => !name.startsWith("(")),
      [],
      "rows without a route",
    );
  });

  it("is as in the table, and refuses everything else", async (t) => {
    const table: string[] = [];
    const wrong: string[] = [];
    const width = Math.max(...[...rows().keys()].map((name) => name.length));
    table.push(`${"".padEnd(width)}  ${CALLERS.map((name) => name.padEnd(8)).join("")}`);
    for (const [name, { call, expected }] of rows()) {
      const got: string[] = [];
      for (const caller of CALLERS) got.push(await call(here.url, here.tokens[caller]));
      table.push(`${name.padEnd(width)}  ${got.map((one) => one.padEnd(8)).join("")}`);
      if (got.join(" ") !== expected) wrong.push(`${name}: ${got.join(" ")}, expected ${expected}`);
    }
    for (const line of table) t.diagnostic(line);
    assert.deepEqual(wrong, []);
    assert.ok(
      (await listSessions(here.url)).some(({ id }) => id === here.session.id),
      "it is still there",
    );
    const { body } = await api(here.url, "GET", "/api/v1/audit?limit=1000");
    const { entries } = body as { entries: { action: string; credential: string }[] };
    assert.deepEqual(new Set(entries.map(({ credential }) => credential)), new Set(["admin"]));
    const acts = ["instance-forgotten", "runner-kicked", "session-stopped", "token-issued", "token-revoked"];
    assert.deepEqual(new Set(acts).difference(new Set(entries.map(({ action }) => action))), new Set());
  });

  it("never takes an anonymous caller for an identity, however the path is written", async () => {
    const { session } = here;
    const paths = Object.keys(here.document.paths)
      .filter((path) => path.startsWith("/api/") || path.startsWith("/moonlight/"))
      .map((path) =>
        path
          .replace("{session}", session.id)
          .replace("{id}", session.runner)
          .replace("{target}", "screenshot")
          .replace("{path}", "x"),
      );
    for (const path of paths) {
      for (const written of [
        path,
        `${path}?session_id=${session.id}&wolf_instance_id=a`,
        `${path}/`,
        `/${path}`,
        path.replace("api", "%61pi"),
        path.replace("v1", "V1"),
        path.replace("/v1/", "/v1//"),
        path.replace("/v1/", "/x/../v1/"),
        `${path}?access_token=${here.tokens.owner}`,
      ]) {
        for (const method of ["GET", "POST", "DELETE"]) {
          const got = await outcome(here.url, method, written, null, method === "POST" ? {} : undefined);
          const isSignIn = method === "POST" && path === "/api/v1/sign-in"; // refused for its missing Origin
          assert.match(got, isSignIn ? /^(401|403|404|405)$/ : /^(401|404|405)$/, `${method} ${written}`);
        }
      }
    }
  });
});
