/** Which part of the control plane a request goes to. Everything that is not on the data path is Hono's. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import { TurnaboutError } from "../wire/errors.ts";
import { parseAuthority } from "../wire/names.ts";
import { DOOR_PATH } from "../wire/protocol.ts";
import { authenticate } from "./auth/authenticate.ts";
import type { CookiePolicy } from "./auth/authenticate.ts";
import { authorizeProxy, connectFromSocket, connectFromStream } from "./connect-proxy.ts";
import type { ConnectProxyContext } from "./connect-proxy.ts";
import type { DataRoutes } from "./data-routes.ts";
import { refuseRaw } from "./doors/upgrade.ts";
import type { UpgradeDoor } from "./doors/upgrade.ts";
import { refuseAmbiguous, refuseUpgradeWithBody } from "./front/ambiguous.ts";
import { sendError } from "./http-errors.ts";
import { proxyHttp } from "./http-proxy.ts";
import type { HttpProxyContext, ProxyJob } from "./http-proxy.ts";
import { isByCookie } from "./isolation.ts";
import type { AnyRequest, AnyResponse, PortHandlers } from "./listener/port.ts";
import { sessionOfRunner } from "./sessions/ids.ts";
import { proxyWebSocketStream, proxyWebSocketUpgrade } from "./websocket-proxy.ts";

export interface RouterContext extends ConnectProxyContext, HttpProxyContext, CookiePolicy {
  door: UpgradeDoor;
  routes: DataRoutes;
  /** Everything else. */
  app: (request: AnyRequest, response: AnyResponse) => void;
  draining(): boolean;
  /** Path before all of ours, without a trailing slash; usually empty. */
  basePath: string;
}

export function createRouter(context: RouterContext): Omit<PortHandlers, "reversed"> {
  const doors = new Set([`${context.basePath}${DOOR_PATH}`, `${context.basePath}/revdial`]);

  /** Undefined if the URL leads to no target. */
  function apiJob(request: AnyRequest, url: string, isWebSocket: boolean): ProxyJob | undefined {
    const { headers } = request;
    const method = request.method ?? "GET";
    const client = context.fronts.client(request);
    const routed = context.routes.resolve(url, { method, isWebSocket }, () =>
      authenticate({ method, headers, url, isWebSocket, client }, context.tokens, context),
    );
    if (routed === undefined) return undefined;
    // Moonlight Web is the operator's own, and its page needs our origin.
    const isolated = routed.credentials === undefined && isByCookie(headers);
    return { ...routed, client, isolated };
  }

  /** Absolute form: a forward-proxy request. The URI decides, whatever Host says (RFC 9112 §3.2.2). */
  function proxyJob(request: AnyRequest, url: string): ProxyJob {
    const match = /^http:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(url);
    if (match?.[1] === undefined) {
      throw new TurnaboutError("bad_request", "forward proxy: only http:// URIs without user information");
    }
    const rest = match[2] ?? "/";
    return authorityJob(request, match[1], rest.startsWith("?") ? `/${rest}` : rest);
  }

  function authorityJob(request: AnyRequest, authority: string, path: string): ProxyJob {
    const { identity, ...destination } = authorizeProxy(request, authority, context);
    const session = sessionOfRunner(destination.runner);
    const client = context.fronts.client(request);
    return { destination, path, route: "proxy", host: authority, identity, session, client };
  }

  function request(request: AnyRequest, response: AnyResponse): void {
    const url = request.url ?? "/";
    const isAbsolute = !url.startsWith("/") && url !== "*";
    try {
      refuseAmbiguous(request);
      const job = isAbsolute ? proxyJob(request, url) : apiJob(request, url, false);
      if (job === undefined) return context.app(request, response);
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      proxyHttp(request, response, job, context);
    } catch (error) {
      request.resume();
      refuse(request, response, error, isAbsolute);
    }
  }

  function refuse(request: AnyRequest, response: AnyResponse, error: unknown, isProxy: boolean): void {
    response.on("error", () => {}); // for ever
    request.on("error", () => {}); // for ever
    const requestId = sendError(request, response, error, isProxy ? "proxy" : "server");
    const reason = error instanceof Error ? error.message : String(error);
    const client = context.fronts.client(request).address;
    context.log.info({ requestId, client, reason }, "request refused");
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = request.url ?? "/";
    const [path = ""] = url.split("?", 1);
    socket.on("error", () => {}); // for ever
    try {
      refuseAmbiguous(request);
      refuseUpgradeWithBody(request);
      if (doors.has(path)) return context.door.handle(request, socket, head);
      if (request.headers.upgrade?.trim().toLowerCase() !== "websocket") {
        throw new TurnaboutError("not_found", "no such upgrade at this path");
      }
      const job = url.startsWith("/") ? apiJob(request, url, true) : proxyJob(request, url);
      if (job === undefined) throw new TurnaboutError("not_found", "no WebSocket at this path");
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      void proxyWebSocketUpgrade(request, socket, head, job, context);
    } catch (error) {
      refuseRaw(socket, error, url.startsWith("/") ? "server" : "proxy");
    }
  }

  function connectStream(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const protocol = request.headers[":protocol"];
    if (protocol === undefined) return void connectFromStream(request, context);
    request.stream.on("error", () => {}); // for ever
    // `<target>.<runner>` as the authority is the forward proxy's WebSocket.
    const isProxy = parseAuthority(request.authority) !== undefined;
    try {
      refuseAmbiguous(request);
      if (protocol !== "websocket") throw new TurnaboutError("bad_request", "only :protocol websocket");
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      const job = isProxy
        ? authorityJob(request, request.authority, request.url)
        : apiJob(request, request.url, true);
      if (job === undefined) throw new TurnaboutError("not_found", "no WebSocket at this path");
      void proxyWebSocketStream(request, job, context);
    } catch (error) {
      refuse(request, response, error, isProxy);
    }
  }

  return {
    request,
    upgrade,
    connect: (request, socket, head) => {
      if (!context.draining()) return void connectFromSocket(request, socket, head, context);
      refuseRaw(socket, new TurnaboutError("control_plane_draining", "shutting down"), "proxy");
    },
    connectStream,
  };
}
