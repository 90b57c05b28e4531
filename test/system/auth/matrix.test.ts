/**
 * Who may do what: every route with every kind of caller. The rows' names are compared with the OpenAPI document and
 * with the code's routes, so that a route without a row fails here.
 */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { runnerTargets } from "../../../src/control/proxy/target-routes.ts";
import type { RunnerAccess, TargetRoute } from "../../../src/control/proxy/target-routes.ts";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import { helixTargetRoutes } from "../../../src/helix/routes.ts";
import type { HelixRoutesContext } from "../../../src/helix/routes.ts";
import { WEBSOCKET_SUBPROTOCOL } from "../../../src/wire/protocol.ts";
import { next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";
import { openSocket, SOCKET_KINDS } from "../helix/moonlight-stand.ts";
import type { SocketKind } from "../helix/moonlight-stand.ts";
import { fetchDocument } from "../api/openapi-schemas.ts";
import type { OpenApiDocument } from "../api/openapi-schemas.ts";
import { api, issueToken, listSessions, newSession, startSessions } from "../helix/sessions-stand.ts";
import type { SessionStand, SessionView } from "../helix/sessions-stand.ts";

const CALLERS = ["nobody", "other", "owner", "runner", "session", "admin", "revoked"] as const;

/** Of one call: `ok` for what was done, or passed on to a target; else the status of our refusal. */
type Outcome = string;

interface Stand {
  stack: AsyncDisposableStack;
  stand: SessionStand;
  url: string;
  /** Alice's, with its sandbox connected. */
  session: SessionView;
  tokens: Record<(typeof CALLERS)[number], string | null>;
  document: OpenApiDocument;
  /** For what may be used once only. */
  count: number;
}

let here: Stand;

before(async () => {
  const stack = new AsyncDisposableStack();
  const stand = stack.use(
    await startSessions({ controlPlane: { moonlightCredentials: "moonlight-secret" } }),
  );
  const { url, system } = stand;
  const target = stack.use(await startHttpTarget((_request, response) => response.end("reached")));
  const sockets = new WebSocketServer({ server: target.http });
  stack.defer(() => {
    for (const socket of sockets.clients) socket.terminate();
  });
  await system.addAgent({ "moonlight-a": { moonlight: target.address } });
  const alice = await issueToken(url, { id: "alice", kind: "user" });
  const session = await newSession(url, {}, alice);
  const runner = await issueToken(url, { id: "wolf-a", kind: "runner", runners: ["wolf-a", "wolf-new-*"] });
  const revoked = await issueToken(url, { id: "alice-old", kind: "user", owner: "alice" });
  await api(url, "DELETE", "/api/v1/tokens/alice-old");
  const env = stand.wolf("a").state.lobbies[0]?.runner["env"] as string[];
  const secret =
    env.find((entry) => entry.startsWith("USER_API_TOKEN="))?.slice(15) ?? assert.fail("no token");
  await system.addAgent(
    { [session.runner]: { screenshot: target.address, docker: target.address } },
    { token: { value: secret } },
  );
  here = {
    stack,
    stand,
    url,
    session,
    tokens: {
      nobody: null,
      other: await issueToken(url, { id: "bob", kind: "user" }),
      owner: alice,
      runner,
      session: secret,
      admin: ADMIN_TOKEN,
      revoked,
    },
    document: await fetchDocument(url),
    count: 0,
  };
});

after(async () => {
  await here.stack.disposeAsync();
  await assertNothingOpen();
});

type Call = (token: string | null) => Promise<Outcome>;

interface Row {
  call: Call;
  /** In the order of {@link CALLERS}. */
  expected: string;
}

const EVERYBODY = "ok ok ok ok ok ok ok";
const ANYBODY_WITH_A_TOKEN = "401 ok ok ok ok ok 401";
const ADMIN_ONLY = "401 403 403 403 403 ok 401";
/** A session's existence is nobody else's business. */
const OWNER = "401 404 ok 404 404 ok 401";
const NOT_THERE = "401 404 404 404 404 404 401";
/** What is asked for by its runner is refused without a look at whether it exists. */
const DIAL_OWN = "401 403 ok 403 403 ok 401";
const PROXY_OWN = "407 403 ok 403 403 ok 407";
/** Root on its host: nobody's own. */
const ADMIN_DIAL = "401 403 403 403 403 ok 401";
const ADMIN_PROXY = "407 403 403 403 403 ok 407";

/** It is everybody's on the instance, also for the owner of a session there. */
const INSTANCE = "401 404 403 404 404 ok 401";
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

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

function rows(): Map<string, Row> {
  const { session } = here;
  const agent = `/api/v1/external-agents/${session.id}`;
  const id = session.id;
  const fresh = async (): Promise<string> => {
    const { id } = await newSession(here.url, {}, here.tokens.owner ?? "");
    return id;
  };
  const spareToken = async (): Promise<string> => {
    here.count += 1;
    await issueToken(here.url, { id: `spare-${here.count}`, kind: "user" });
    return `spare-${here.count}`;
  };
  const entries: [string, Call, string][] = [
    ["GET /healthz", get("/healthz"), EVERYBODY],
    ["GET /readyz", get("/readyz"), EVERYBODY],
    ["GET /openapi.json", get("/openapi.json"), EVERYBODY],
    ["GET /metrics", get("/metrics"), ADMIN_ONLY],
    ["GET /api/v1/revdial", get("/api/v1/revdial?runnerid=x"), "401 426 426 426 426 426 401"],
    ["GET /api/v1/runners", get("/api/v1/runners"), ANYBODY_WITH_A_TOKEN],
    ["GET /api/v1/runners/{id}", get(`/api/v1/runners/${session.runner}`), OWNER],
    ["GET /api/v1/runners/{id}/ping", get(`/api/v1/runners/${session.runner}/ping`), OWNER],
    ["GET /api/v1/runners/{id}/metrics", get(`/api/v1/runners/${session.runner}/metrics`), OWNER],
    ["DELETE /api/v1/runners/{id}", send("DELETE", () => spareRunner()), ADMIN_ONLY],
    ["POST /api/v1/sessions", send("POST", "/api/v1/sessions", { name: "x" }), "401 ok ok 403 403 ok 401"],
    ["GET /api/v1/sessions", get("/api/v1/sessions"), ANYBODY_WITH_A_TOKEN],
    ["GET /api/v1/sessions/{id}", get(`/api/v1/sessions/${id}`), OWNER],
    ["DELETE /api/v1/sessions/{id}", send("DELETE", async () => `/api/v1/sessions/${await fresh()}`), OWNER],
    ["GET /api/v1/wolf-instances", get("/api/v1/wolf-instances"), ADMIN_ONLY],
    ["GET /api/v1/wolf-instances/{id}", get("/api/v1/wolf-instances/a"), ADMIN_ONLY],
    ["DELETE /api/v1/wolf-instances/{id}", send("DELETE", () => spareInstance()), ADMIN_ONLY],
    [
      "POST /api/v1/wolf-instances/{id}/heartbeat",
      send("POST", "/api/v1/wolf-instances/a/heartbeat", { max_sandboxes: 1_000 }),
      "401 403 403 ok 403 ok 401",
    ],
    [
      "POST /api/v1/tokens",
      async (token) => {
        here.count += 1;
        return outcome("POST", "/api/v1/tokens", token, { id: `made-${here.count}`, kind: "user" });
      },
      ADMIN_ONLY,
    ],
    ["GET /api/v1/tokens", get("/api/v1/tokens"), ADMIN_ONLY],
    ["DELETE /api/v1/tokens", send("DELETE", "/api/v1/tokens?owner=nobody-at-all"), ADMIN_ONLY],
    [
      "DELETE /api/v1/tokens/{id}",
      send("DELETE", async () => `/api/v1/tokens/${await spareToken()}`),
      ADMIN_ONLY,
    ],
    ["GET /api/v1/events", get("/api/v1/events"), ANYBODY_WITH_A_TOKEN],
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
    ["(none) /api/v1/external-agents/{session}/{name}", get(`${agent}/secrets`), NOT_THERE],
    ["(none) /api/v1/external-agents/{session}/ws/{name}", socket(`${agent}/ws/secrets`), NOT_THERE],
    ["GET /api/v1/stream/{session}", socket(async () => `/api/v1/stream/${await fresh()}`), OWNER],
    [
      "(WebSocket) /moonlight/{path}",
      socket(async () => `/moonlight/host/stream?session_id=${await fresh()}`),
      OWNER,
    ],
    [
      "(WebSocket) /moonlight/{path} of everybody's",
      socket(async () => `/moonlight/api/ws/x?session_id=${await fresh()}`),
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
    ["(WebSocket) /api/v1/runners/{id}/targets/{target}/{path}", socket(`${via(session)}/x`), DIAL_OWN],
    ["(WebSocket) /api/v1/wolf/{path}", socket("/api/v1/wolf/x?wolf_instance_id=a"), ADMIN_ONLY],
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
    ["(agent door) a sandbox", door(async () => `sandbox-${await fresh()}`), "401 403 403 403 403 ok 401"],
    ["(agent door) its own sandbox", door(() => session.runner), "401 403 403 403 ok 409 401"],
    ["(agent door) a Wolf", door(() => `wolf-new-${(here.count += 1)}`), "401 403 403 ok 403 ok 401"],
    [
      "(agent door) as /revdial",
      door(() => `wolf-new-${(here.count += 1)}`, "/revdial"),
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
    );
  }
  return new Map(entries.map(([name, call, expected]) => [name, { call, expected }]));
}

/** Our refusals have one; whatever a target answers has been passed on, and that is `ok`. */
const OURS = "x-request-id";

function via({ runner }: SessionView): string {
  return `/api/v1/runners/${runner}/targets/screenshot`;
}

function viaDocker({ runner }: SessionView, name = "docker"): string {
  return `/api/v1/runners/${runner}/targets/${name}/info`;
}

function get(path: string): Call {
  return send("GET", path);
}

function send(method: string, path: string | (() => Promise<string>), json?: object): Call {
  return async (token) => outcome(method, typeof path === "string" ? path : await path(), token, json);
}

async function outcome(method: string, path: string, token: string | null, json?: object): Promise<Outcome> {
  const body = json === undefined ? undefined : JSON.stringify(json);
  const request = http.request(`${here.url}${path}`, {
    agent: false,
    method,
    headers: {
      ...bearer(token),
      ...(body !== undefined && {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
      }),
    },
  });
  request.end(body);
  const [response] = await next<[http.IncomingMessage]>(request, "response");
  response.on("error", () => {}); // for ever
  response.destroy(); // some have no end
  return judge(response.statusCode ?? 0, response.headers[OURS]);
}

function judge(status: number, requestId: unknown): Outcome {
  return requestId === undefined ? "ok" : String(status);
}

function bearer(token: string | null, name = "authorization"): Record<string, string> {
  return token === null ? {} : { [name]: `Bearer ${token}` };
}

/** In every way that a WebSocket can be asked for; they have to agree. */
function socket(path: string | (() => Promise<string>)): Call {
  return async (token) => {
    const outcomes = new Set<Outcome>();
    const ask = async (kind: SocketKind, query: boolean): Promise<void> => {
      const plain = typeof path === "string" ? path : await path();
      const mark = plain.includes("?") ? "&" : "?";
      const url = query && token !== null ? `${plain}${mark}access_token=${token}` : plain;
      await using one = await openSocket(kind, here.url, url, query ? {} : { token });
      outcomes.add(judge(one.status, one.headers[OURS]));
    };
    for (const kind of SOCKET_KINDS) for (const query of [true, false]) await ask(kind, query);
    return [...outcomes].join("/");
  };
}

function absolute(session: SessionView, target = "screenshot"): Call {
  return async (token) => {
    const request = http.request({
      host: "127.0.0.1",
      port: new URL(here.url).port,
      agent: false,
      path: `http://${target}.${session.runner}/x`,
      headers: bearer(token, "proxy-authorization"),
    });
    request.end();
    const [response] = await next<[http.IncomingMessage]>(request, "response");
    response.resume();
    await next(response, "close");
    return judge(response.statusCode ?? 0, response.headers[OURS]);
  };
}

function connectByLine(session: SessionView, target = "screenshot"): Call {
  return async (token) => {
    const request = http.request({
      host: "127.0.0.1",
      port: new URL(here.url).port,
      agent: false,
      method: "CONNECT",
      path: `${target}.${session.runner}:80`,
      headers: bearer(token, "proxy-authorization"),
    });
    request.end();
    const [response, stream] = await next<[http.IncomingMessage, net.Socket]>(request, "connect");
    stream.destroy();
    return judge(response.statusCode ?? 0, response.headers[OURS]);
  };
}

function connectByStream(session: SessionView, protocol?: string, target = "screenshot"): Call {
  return async (token) => {
    const connection = http2.connect(here.url);
    await next(connection, "remoteSettings");
    const stream = connection.request({
      ":method": "CONNECT",
      ":authority": `${target}.${session.runner}`,
      ...(protocol !== undefined && {
        ":protocol": protocol,
        ":scheme": "http",
        ":path": "/x",
        "sec-websocket-version": "13",
      }),
      ...bearer(token, "proxy-authorization"),
    });
    stream.on("error", () => {}); // for ever
    const [headers] = await next<[http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]>(
      stream,
      "response",
    );
    const closed = next(connection, "close");
    connection.destroy();
    await closed;
    return judge(headers[":status"] ?? 0, headers[OURS]);
  };
}

/** Only the handshake: whoever gets a 101 could go on. */
function door(runner: () => string | Promise<string>, path = "/api/v1/revdial"): Call {
  return async (token) => {
    const outcomes = new Set<Outcome>();
    for (const upgrade of ["ptth", "websocket"]) {
      const request = http.request(`${here.url}${path}?runnerid=${await runner()}`, {
        agent: false,
        headers: {
          connection: "Upgrade",
          upgrade,
          alpn: "h2",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          "sec-websocket-version": "13",
          "sec-websocket-protocol": WEBSOCKET_SUBPROTOCOL,
          ...bearer(token),
        },
      });
      const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
      request.on("upgrade", (_response, upgraded) => {
        upgraded.destroy();
        resolve("ok");
      });
      request.on("response", (response) => {
        response.resume();
        resolve(String(response.statusCode));
      });
      request.on("error", reject);
      request.end();
      outcomes.add(await within(promise, "the door's answer"));
    }
    return [...outcomes].join("/");
  };
}

/** A runner that only the admin may kick. */
async function spareRunner(): Promise<string> {
  here.count += 1;
  await here.stand.system.addAgent({ [`spare-${here.count}`]: { x: "127.0.0.1:1" } });
  return `/api/v1/runners/spare-${here.count}`;
}

async function spareInstance(): Promise<string> {
  here.count += 1;
  const wolf = here.stack.use(await createWolfDouble({ socketPath: tempPath() }));
  const agent = await here.stand.system.addAgent({
    [`wolf-s${here.count}`]: { wolf: `unix:${wolf.socketPath}` },
  });
  await agent.close();
  return `/api/v1/wolf-instances/s${here.count}`;
}

/** Names of the rows that a route to a target needs. */
function rowsOf({ path, kind, methods }: TargetRoute): string[] {
  const listed = methods === "all" ? METHODS : methods;
  if (listed.length === 0) return [`(none) ${path}`];
  return [
    ...listed.map((method) => `${method} ${path}`),
    ...(kind === "both" ? [`(WebSocket) ${path}`] : []),
  ];
}

describe("authorization", () => {
  it("has a row for every route of the document and of the code", () => {
    const named = new Set(rows().keys());
    const described = Object.entries(here.document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(
      described.filter((name) => !named.has(name)),
      [],
      "routes without a row",
    );
    assert.deepEqual(
      [...named].filter((name) => !name.startsWith("(") && !described.includes(name)),
      [],
      "rows without a route",
    );
    const table = [runnerTargets({} as RunnerAccess), ...helixTargetRoutes({} as HelixRoutesContext)];
    assert.ok(table.length >= 6);
    assert.deepEqual(
      table.flatMap(rowsOf).filter((name) => !named.has(name)),
      [],
      "routes to targets without a row",
    );
  });

  it("is as the table says, and refuses everything else", async (t) => {
    const table: string[] = [];
    const wrong: string[] = [];
    const width = Math.max(...[...rows().keys()].map((name) => name.length));
    table.push(`${"".padEnd(width)}  ${CALLERS.map((name) => name.padEnd(8)).join("")}`);
    for (const [name, { call, expected }] of rows()) {
      const got: string[] = [];
      for (const caller of CALLERS) got.push(await call(here.tokens[caller]));
      table.push(`${name.padEnd(width)}  ${got.map((one) => one.padEnd(8)).join("")}`);
      if (got.join(" ") !== expected) wrong.push(`${name}: ${got.join(" ")}, expected ${expected}`);
    }
    for (const line of table) t.diagnostic(line);
    assert.deepEqual(wrong, []);
    assert.ok(
      (await listSessions(here.url)).some(({ id }) => id === here.session.id),
      "it is still there",
    );
  });

  it("never takes anonymity for an identity, however the path is written", async () => {
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
          const got = await outcome(method, written, null, method === "POST" ? {} : undefined);
          assert.match(got, /^(401|404|405)$/, `${method} ${written}`);
        }
      }
    }
  });
});
