/** Moonlight Web's page as its callers see it: a session of Alice's, and a service of the test's own in Moonlight's place. */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import type { HelixOptions } from "../../../src/helix/helix.ts";
import { helix } from "../../../src/helix/helix.ts";
import { issueToken } from "../../support/api.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { EventLog } from "../../support/event-log.ts";
import { bodyOf } from "../../support/http.ts";
import { startHttpTarget } from "../../support/target.ts";
import { SECRET } from "./moonlight-stand.ts";
import { newSession, startSessions } from "./sessions-stand.ts";
import type { SessionStand, SessionView } from "./sessions-stand.ts";

export interface Seen {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Served {
  status?: number;
  headers?: OutgoingHttpHeaders;
  body?: string;
  /** The body has more, which never comes. Default false. */
  stalls?: boolean;
}

export interface PageStand extends AsyncDisposable {
  readonly sessions: SessionStand;
  readonly url: string;
  readonly alice: string;
  readonly bob: string;
  readonly session: SessionView;
  /** Path of the session's page, without a slash at the end. */
  readonly page: string;
  /** Moonlight's address. */
  readonly moonlight: string;
  /** Requests that Moonlight has received. */
  readonly seen: EventLog<Seen>;
  /** WebSockets that have reached Moonlight, with their requests. */
  readonly sockets: EventLog<{ socket: WebSocket; request: IncomingMessage }>;
  another(token?: string): Promise<SessionView>;
}

export interface PageStandOptions {
  /** What Moonlight responds with. Default: 200, with the method and the URL. */
  serve?: (request: Seen) => Served;
  controlPlane?: ControlPlaneOptions;
  helix?: HelixOptions;
}

export async function startPage({
  serve,
  controlPlane,
  ...options
}: PageStandOptions = {}): Promise<PageStand> {
  const stack = new AsyncDisposableStack();
  const close = closedAtTheEnd(() => stack.disposeAsync());
  const seen = new EventLog<Seen>();
  const target = stack.use(
    await startHttpTarget((request, response) => {
      const { method = "", url = "", headers } = request;
      void bodyOf(request).then((body) => {
        const one = { method, url, headers, body };
        seen.push(one);
        const {
          status = 200,
          headers: fields = {},
          body: text = `${method} ${url}`,
          stalls = false,
        } = serve?.(one) ?? {};
        response.writeHead(status, fields);
        if (stalls) response.write(text);
        else response.end(text);
      });
    }),
  );
  const server = new WebSocketServer({ server: target.http, perMessageDeflate: true });
  const sockets = new EventLog<{ socket: WebSocket; request: IncomingMessage }>();
  server.on("connection", (socket, request) => {
    socket.on("error", () => {}); // permanent
    sockets.push({ socket, request });
  });
  stack.defer(() => {
    for (const socket of server.clients) socket.terminate();
  });
  const extensions = [helix({ moonlightCredentials: SECRET, ...options.helix })];
  const sessions = stack.use(
    await startSessions({ controlPlane: { extensions, ...controlPlane }, agents: false }),
  );
  const base = controlPlane?.basePath ?? "";
  const url = `${sessions.url}${base}`;
  await sessions.agent("a", { server: url });
  await sessions.system.addAgent({ "moonlight-a": { moonlight: target.address } }, { server: url });
  const alice = await issueToken(url, { id: "alice", kind: "user" });
  const bob = await issueToken(url, { id: "bob", kind: "user" });
  const session = await newSession(url, {}, alice);
  return {
    sessions,
    url,
    alice,
    bob,
    session,
    moonlight: target.address,
    page: `${base}/moonlight/s/${session.id}`,
    seen,
    sockets,
    another: (token = alice) => newSession(url, {}, token),
    [Symbol.asyncDispose]: close,
  };
}
