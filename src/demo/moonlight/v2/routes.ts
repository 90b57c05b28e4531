/** v2's HTTP routes: users with roles, hosts as a list that grows line by line, and no response that may be stored. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { DEMO_COLOUR, solidPng } from "../../png.ts";
import type { Pairings } from "../pairing.ts";
import { byBody as hostByBody, byQuery as hostByQuery, createHost } from "../host-routes.ts";
import type { HostCall } from "../host-routes.ts";
import { empty, json, readJson, text, urlOf } from "../responses.ts";
import type { Fields } from "../responses.ts";
import { cancelStreams, detailed, undetailed } from "../state.ts";
import type { MoonlightHost, MoonlightState } from "../state.ts";
import type { Refusal, User, Users } from "./identity.ts";

export interface RoutesContext {
  state: MoonlightState;
  pairings: Pairings;
  users: Users;
}

interface Call extends RoutesContext, HostCall {
  user: User;
  request: IncomingMessage;
}

type Handler = (call: Call) => void;

/** `user`: whoever is known. */
type Access = "user" | "admin";

const IMAGE: Buffer = solidPng(120, 160, DEMO_COLOUR);
const IMAGE_ETAG = '"1"';

const ROUTES: Readonly<Record<string, [Access, Handler]>> = {
  "GET /api/authenticate": ["user", ({ response }) => empty(response, 200)],
  "GET /api/hosts": ["user", listHosts],
  "GET /api/host": [
    "user",
    byQuery(({ state, response }, host) => json(response, { host: detailed(state, host) })),
  ],
  "POST /api/host": ["admin", createHost],
  "PATCH /api/host": ["admin", byBody(({ response }) => empty(response, 200))],
  "DELETE /api/host": [
    "admin",
    byQuery(({ state, response }, host) => {
      cancelStreams(state, host);
      state.hosts.splice(state.hosts.indexOf(host), 1);
      empty(response, 200);
    }),
  ],
  "POST /api/pair": ["user", byBody(({ pairings, response }, host) => pairings.start(host, response))],
  "POST /api/host/wake": ["user", byBody(({ response }) => empty(response, 200))],
  "POST /api/host/cancel": [
    "user",
    byBody(({ state, response }, host) => {
      cancelStreams(state, host);
      json(response, { success: true });
    }),
  ],
  "GET /api/apps": ["user", byQuery(({ state, response }) => json(response, { apps: state.apps }))],
  "GET /api/app/image": ["user", byQuery(appImage)],
  "GET /api/user": ["user", getUser],
  "POST /api/user": ["admin", ({ response }) => empty(response, 200)],
  "PATCH /api/user": ["admin", ({ response }) => empty(response, 200)],
  "DELETE /api/user": ["admin", ({ response }) => empty(response, 200)],
  "GET /api/users": ["admin", ({ users, response }) => json(response, { users: users.list.map(viewOf) })],
  "GET /api/role": ["user", ({ user, response }) => json(response, { role: roleOf(user) })],
  "POST /api/role": ["admin", ({ response }) => empty(response, 200)],
  "PATCH /api/role": ["admin", ({ response }) => empty(response, 200)],
  "DELETE /api/role": ["admin", ({ response }) => empty(response, 200)],
  "GET /api/roles": [
    "admin",
    ({ users, response }) => json(response, { roles: users.list.slice(0, 2).map(roleOf) }),
  ],
  "GET /api/settings/default": ["user", ({ response }) => json(response, { settings: {} })],
  "GET /api/settings/permissions": ["user", ({ user, response }) => json(response, roleOf(user))],
};

/** On each response of the API. */
const NO_STORE = {
  "cache-control": "no-store, no-cache, must-revalidate, private",
  pragma: "no-cache",
  expires: "0",
};

/** For paths of the API alone. @throws BadRequest */
export async function serveUpstreamApi(
  request: IncomingMessage,
  response: ServerResponse,
  context: RoutesContext,
): Promise<void> {
  const { pathname, searchParams: query } = urlOf(request);
  for (const [name, value] of Object.entries(NO_STORE)) response.setHeader(name, value);
  if (pathname === "/api/login" && request.method === "POST")
    return logIn(await readJson(request), response, context.users);
  if (pathname === "/api/logout" && request.method === "POST") {
    response.setHeader("set-cookie", REMOVAL);
    return empty(response, 200);
  }
  const [access, handler] = ROUTES[`${request.method} ${pathname}`] ?? [];
  if (access === undefined || handler === undefined) return empty(response, 404);
  const identified = context.users.identify(request.headers);
  if ("refusal" in identified) return refuse(response, identified.refusal);
  const { user } = identified;
  if (access === "admin" && user.role !== "Admin") {
    return refuse(response, { status: 403, text: "forbidden" });
  }
  const body = request.method === "GET" ? {} : await bodyOf(request, query);
  handler({ ...context, user, query, body, request, response });
}

function refuse(response: ServerResponse, { status, text: body, removesCookie }: Refusal): void {
  if (removesCookie === true) response.setHeader("set-cookie", REMOVAL);
  text(response, status, body);
}

const REMOVAL = "mlSession=; HttpOnly; SameSite=Strict; Path=; Max-Age=0";

/** A DELETE names its subject in the query. */
function bodyOf(request: IncomingMessage, query: URLSearchParams): Promise<Fields> {
  return request.method === "DELETE" ? Promise.resolve(Object.fromEntries(query)) : readJson(request);
}

function logIn({ name, password }: Fields, response: ServerResponse, users: Users): void {
  const isText = typeof name === "string" && typeof password === "string";
  const token = isText ? users.logIn(name, password) : undefined;
  if (token === undefined) return text(response, 401, "invalid credentials");
  const expires = new Date(Date.now() + 86_400_000).toUTCString();
  response.setHeader(
    "set-cookie",
    `mlSession=${token}; HttpOnly; SameSite=Strict; Path=; Expires=${expires}`,
  );
  empty(response, 200);
}

/** What is known at once, and then each host as it responds. */
function listHosts({ state, response }: Call): void {
  const hosts = state.hosts.map((host) => ({ ...undetailed(state, host), owner: "Global" }));
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.write(`${JSON.stringify({ hosts: hosts.map((host) => ({ ...host, server_state: null })) })}\n`);
  for (const host of hosts) response.write(`${JSON.stringify(host)}\n`);
  response.end();
}

function getUser(call: Call): void {
  const { user, query, users, response } = call;
  const isOwn = query.size === 0;
  if (!isOwn && user.role !== "Admin") return text(response, 403, "forbidden");
  const found = isOwn
    ? user
    : users.list.find(({ id, name }) => [String(id), name].includes(String([...query.values()][0])));
  if (found === undefined) empty(response, 404);
  else json(response, viewOf(found));
}

function viewOf({ id, name, role }: User): object {
  return { id, name, role_id: role === "Admin" ? 1 : 2, is_default_user: false };
}

function roleOf({ role }: User): object {
  return {
    id: role === "Admin" ? 1 : 2,
    name: role,
    ty: role,
    permissions: { allow_add_hosts: role === "Admin" },
  };
}

function byQuery(then: (call: Call, host: MoonlightHost) => void): Handler {
  return hostByQuery(then, "host not found");
}

function byBody(then: (call: Call, host: MoonlightHost) => void): Handler {
  return hostByBody(then, "host not found");
}

function appImage({ request, response }: Call): void {
  if (request.headers["if-none-match"] === IMAGE_ETAG) {
    response.writeHead(304, { etag: IMAGE_ETAG }).end();
    return;
  }
  const headers = { "content-type": "application/octet-stream", etag: IMAGE_ETAG };
  response.writeHead(200, { ...headers, "content-length": IMAGE.length }).end(IMAGE);
}
