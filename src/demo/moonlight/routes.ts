/** Moonlight Web's HTTP routes. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { DEMO_COLOUR, solidPng } from "../png.ts";
import { refusalOf } from "./auth.ts";
import { MAX_BODY_BYTES } from "./limits.ts";
import type { Pairings } from "./pairing.ts";
import { addHost, cancelStreams, detailed, findHost, undetailed } from "./state.ts";
import type { MoonlightHost, MoonlightState } from "./state.ts";

export interface MoonlightContext {
  state: MoonlightState;
  pairings: Pairings;
  credentials: string;
}

interface Call extends MoonlightContext {
  query: URLSearchParams;
  body: Readonly<Record<string, unknown>>;
  response: ServerResponse;
}

type Handler = (call: Call) => void;

const IMAGE: Buffer = solidPng(120, 160, DEMO_COLOUR);

const routes: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["GET /api/authenticate", ({ response }) => empty(response, 200)],
  [
    "GET /api/hosts",
    ({ state, response }) => json(response, { hosts: state.hosts.map((h) => undetailed(state, h)) }),
  ],
  [
    "GET /api/host",
    (call) =>
      withHost(call, call.query.get("host_id"), (host) =>
        json(call.response, { host: detailed(call.state, host) }),
      ),
  ],
  ["PUT /api/host", putHost],
  ["DELETE /api/host", (call) => withHost(call, call.query.get("host_id"), (host) => deleteHost(call, host))],
  ["POST /api/host/wake", (call) => withHost(call, call.body["host_id"], () => empty(call.response, 200))],
  ["POST /api/host/cancel", (call) => withHost(call, call.body["host_id"], (host) => cancelHost(call, host))],
  [
    "POST /api/pair",
    (call) => withHost(call, call.body["host_id"], (host) => call.pairings.start(host, call.response)),
  ],
  [
    "GET /api/apps",
    (call) => withHost(call, call.query.get("host_id"), () => json(call.response, { apps: call.state.apps })),
  ],
  ["GET /api/app/image", (call) => withHost(call, call.query.get("host_id"), () => appImage(call))],
  ["GET /api/sessions", ({ state, response }) => json(response, { sessions: sessions(state) })],
  ["GET /api/admin/status", adminStatus],
]);

export async function serveRequest(
  request: IncomingMessage,
  response: ServerResponse,
  context: MoonlightContext,
): Promise<void> {
  const url = urlOf(request);
  if (!url.pathname.startsWith("/api/")) return staticFile(url.pathname, response);
  const refusal = refusalOf(request.headers.authorization, context.credentials);
  if (refusal !== undefined) return empty(response, refusal);
  const handler = routes.get(`${request.method} ${url.pathname}`);
  if (handler === undefined) return empty(response, 404);
  const body = await readJson(request);
  if (body === undefined) return empty(response, 400);
  handler({ ...context, query: url.searchParams, body, response });
}

/** An invalid URL, such as `//`, becomes a path without a route. */
export function urlOf(request: IncomingMessage): URL {
  const base = "http://moonlight.invalid";
  return URL.parse(request.url ?? "/", base) ?? new URL("/no-such-path", base);
}

function putHost({ state, body, response }: Call): void {
  const { address, http_port } = body;
  if (typeof address !== "string") return empty(response, 400);
  const host = addHost(state, address, typeof http_port === "number" ? http_port : 47_989);
  if (host === undefined) return empty(response, 500);
  json(response, { host: detailed(state, host) });
}

function deleteHost({ state, response }: Call, host: MoonlightHost): void {
  cancelStreams(state, host);
  state.hosts.splice(state.hosts.indexOf(host), 1);
  empty(response, 200);
}

function cancelHost({ state, response }: Call, host: MoonlightHost): void {
  cancelStreams(state, host);
  json(response, { success: true });
}

function appImage({ state, query, response }: Call): void {
  const appId = Number(query.get("app_id"));
  if (!state.apps.some(({ app_id }) => app_id === appId)) return empty(response, 404);
  response.writeHead(200, { "content-type": "image/png", "content-length": IMAGE.length }).end(IMAGE);
}

function adminStatus({ state, response }: Call): void {
  json(response, { total_sessions: state.streams.size, sessions: sessions(state) });
}

function sessions(state: MoonlightState): object[] {
  return [...state.streams.values()].map((stream) => ({
    session_id: stream.sessionId,
    client_unique_id: stream.clientUniqueId,
    mode: stream.mode,
    has_websocket: stream.detach !== undefined,
  }));
}

/** Files that a browser loads before it has the secret. */
function staticFile(path: string, response: ServerResponse): void {
  switch (path) {
    case "/config.js":
      response
        .writeHead(200, { "content-type": "text/javascript" })
        .end('export default {"path_prefix":""}\n');
      return;
    case "/":
    case "/index.html":
    case "/stream.html":
      response
        .writeHead(200, { "content-type": "text/html; charset=utf-8" })
        .end("<title>Moonlight Web</title>\n");
      return;
    default:
      empty(response, 404);
  }
}

function withHost(call: Call, hostId: unknown, then: (host: MoonlightHost) => void): void {
  const host = hostId === null || hostId === undefined ? undefined : findHost(call.state, hostId);
  if (host === undefined) empty(call.response, hostId === null || hostId === undefined ? 400 : 404);
  else then(host);
}

/** Undefined if the body is not an object or too large. An empty body is an empty object. */
async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>> | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function json(response: ServerResponse, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(200, { "content-type": "application/json", "content-length": bytes.length }).end(bytes);
}

function empty(response: ServerResponse, status: number): void {
  response.writeHead(status, { "content-length": 0 }).end();
}
