/** The fork's HTTP routes. Its secret is checked before there is a route, so an unknown one is 401 first. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { DEMO_COLOUR, solidPng } from "../../png.ts";
import type { Pairings } from "../pairing.ts";
import { byBody, byQuery, createHost } from "../host-routes.ts";
import type { HostCall } from "../host-routes.ts";
import { bytes, empty, json, parameter, readJson, urlOf } from "../responses.ts";
import { cancelStreams, detailed, listStreams, undetailed } from "../state.ts";
import type { MoonlightState } from "../state.ts";
import { refusalOf } from "./auth.ts";

export interface RoutesContext {
  state: MoonlightState;
  pairings: Pairings;
  credentials: string;
}

type Call = RoutesContext & HostCall;

type Handler = (call: Call) => void;

export const STREAM_PATH = "/api/host/stream";

const IMAGE: Buffer = solidPng(120, 160, DEMO_COLOUR);

const routes: Readonly<Record<string, Handler>> = {
  "GET /api/authenticate": ({ response }) => empty(response, 200),
  "GET /api/hosts": ({ state, response }) =>
    json(response, { hosts: state.hosts.map((host) => undetailed(state, host)) }),
  "GET /api/host": byQuery(({ state, response }, host) => json(response, { host: detailed(state, host) })),
  "PUT /api/host": createHost,
  "DELETE /api/host": byQuery(({ state, response }, host) => {
    cancelStreams(state, host);
    state.hosts.splice(state.hosts.indexOf(host), 1);
    empty(response, 200);
  }),
  "POST /api/host/wake": byBody(({ response }) => empty(response, 200)),
  "POST /api/host/cancel": byBody(({ state, response }, host) => {
    cancelStreams(state, host);
    json(response, { success: true });
  }),
  "POST /api/pair": byBody(({ pairings, response }, host) => pairings.start(host, response)),
  "GET /api/apps": byQuery(({ state, response }) => json(response, { apps: state.apps })),
  "GET /api/app/image": byQuery(appImage),
  "GET /api/sessions": ({ state, response }) => json(response, { sessions: listStreams(state) }),
  "GET /api/admin/status": adminStatus,
};

/** For paths of the API alone. @throws BadRequest */
export async function serveForkApi(
  request: IncomingMessage,
  response: ServerResponse,
  context: RoutesContext,
): Promise<void> {
  const { pathname, searchParams: query } = urlOf(request);
  // A WebSocket's path: it checks the credentials in its first message.
  if (pathname === STREAM_PATH) return empty(response, request.method === "GET" ? 400 : 404);
  const refusal = refusalOf(request.headers.authorization, context.credentials);
  if (refusal !== undefined) return empty(response, refusal);
  const handler = routes[`${request.method} ${pathname}`];
  if (handler === undefined) return empty(response, 404);
  const hasBody = request.method === "POST" || request.method === "PUT";
  handler({ ...context, query, body: hasBody ? await readJson(request) : {}, response });
}

function appImage({ state, query, response }: Call): void {
  const appId = Number(parameter(query, "app_id"));
  if (!state.apps.some(({ app_id }) => app_id === appId)) return empty(response, 404);
  bytes(response, "application/octet-stream", IMAGE);
}

function adminStatus({ state, response }: Call): void {
  const sessions = listStreams(state);
  const clients = [...new Set([...state.streams.values()].map(({ clientUniqueId }) => clientUniqueId))]
    .filter((id) => id !== null)
    .map((client_unique_id) => ({ client_unique_id, has_certificate: true }));
  json(response, {
    total_clients: clients.length,
    total_sessions: sessions.length,
    active_websockets: [...state.streams.values()].filter(({ viewer }) => viewer !== undefined).length,
    clients,
    sessions,
  });
}
