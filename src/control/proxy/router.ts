/** Which part of the control plane a request goes to. Everything that is not on the data path is Hono's. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { PTTH_UPGRADE_TOKEN, WELL_KNOWN_DOOR_PATH } from "../../wire/protocol.ts";
import { authenticate, credentialPlace, holdsToken, withoutTokens } from "../auth/authenticate.ts";
import type { CookiePolicy } from "../auth/authenticate.ts";
import { authorizeProxy, connectFromSocket, connectFromStream } from "./connect-proxy.ts";
import type { ConnectProxyContext } from "./connect-proxy.ts";
import type { TargetRoutes } from "./target-routes.ts";
import { EndpointPaths } from "../admission/endpoint-path.ts";
import type { AgentEndpoint } from "../admission/agent-endpoint.ts";
import { refuseAmbiguous, refuseUpgradeWithBody } from "../listener/refused-requests.ts";
import { refuseRaw, sendError } from "../listener/error-response.ts";
import type { Refuser } from "../listener/error-response.ts";
import { proxyHttp } from "./http-proxy.ts";
import type { ProxyContext, ProxyJob } from "./job.ts";
import type { AnyRequest, AnyResponse, PortHandlers } from "../listener/messages.ts";
import { OwnPaths } from "./own-paths.ts";
import { requestTarget } from "./request-target.ts";
import type { OwnNames } from "./request-target.ts";
import { proxyWebSocketStream, proxyWebSocketUpgrade } from "../websocket/websocket-proxy.ts";

/** An API that is served here and not by a target. */
export interface App {
  /** Paths that it serves, below the base path. */
  paths: readonly string[];
  handle(request: AnyRequest, response: AnyResponse): void;
}

export interface RouterContext extends ConnectProxyContext, ProxyContext, CookiePolicy {
  door: AgentEndpoint;
  routes: TargetRoutes;
  /** Everything else. */
  app: App;
  draining(): boolean;
  /** Path before all of ours, without a trailing slash; usually empty. */
  basePath: string;
  /** Host of the URL that agents dial, where it is known. */
  ownHost: string | undefined;
  /** The operator trusts the target's pages with our origin. */
  trustsPages(destination: Destination): boolean;
}

export function createRouter(context: RouterContext): Omit<PortHandlers, "reversed"> {
  const doors = new EndpointPaths(context.basePath);

  const ownPaths = new OwnPaths(context.basePath, [
    ...context.app.paths,
    ...context.routes.paths,
    WELL_KNOWN_DOOR_PATH,
  ]);
  const own: OwnNames = {
    ownHost: context.ownHost,
    isOwnPath: (url, isWebSocket) => (isWebSocket ? context.routes.has(url) : ownPaths.has(url)),
  };

  /** Undefined if the request leads to no target; then it has the origin form. */
  function jobOf(request: AnyRequest, isWebSocket: boolean): ProxyJob | undefined {
    const target = requestTarget(request, isWebSocket, own);
    if (target.kind === "proxy") return authorityJob(request, target.authority, target.path);
    if (target.host !== undefined) {
      request.url = target.url;
      request.headers.host = target.host; // whatever Host said (RFC 9112 §3.2.2)
    }
    return apiJob(request, target.url, isWebSocket);
  }

  /** Undefined if the URL leads to no target. */
  function apiJob(request: AnyRequest, url: string, isWebSocket: boolean): ProxyJob | undefined {
    const { headers } = request;
    const { tokens } = context;
    const method = request.method ?? "GET";
    const client = context.trustedProxies.client(request);
    const routed = context.routes.resolve(url, { method, isWebSocket }, () =>
      authenticate({ method, headers, url, isWebSocket, client }, tokens, context),
    );
    if (routed === undefined) return undefined;
    // Who gives a credential in a field has written a program: a browser's own navigation comes with a cookie.
    const isByBrowser = credentialPlace({ headers, url, isWebSocket }) === "cookie";
    // A target whose credentials the operator has given us is the operator's own, and its page needs our origin.
    const isTrusted = routed.credentials !== undefined || context.trustsPages(routed.destination);
    const withheld = new Set(
      ["authorization", "x-api-key"].filter((name) => holdsToken(String(headers[name] ?? ""), tokens)),
    );
    const path = withoutTokens(routed.path, tokens);
    return { ...routed, path, client, isolated: isByBrowser && !isTrusted, withheld };
  }

  function authorityJob(request: AnyRequest, authority: string, path: string): ProxyJob {
    const { identity, ...destination } = authorizeProxy(request, authority, context);
    const group = context.access.groupOf(destination.runner);
    const client = context.trustedProxies.client(request);
    return { destination, path, mode: "proxy", host: authority, identity, group, client };
  }

  function request(request: AnyRequest, response: AnyResponse): void {
    try {
      refuseAmbiguous(request);
      const job = jobOf(request, false);
      if (job === undefined) return context.app.handle(request, response);
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      proxyHttp(request, response, job, context);
    } catch (error) {
      request.resume();
      refuse(request, response, error, refuserOf(request, false));
    }
  }

  function refuserOf(request: AnyRequest, isWebSocket: boolean): Refuser {
    try {
      return requestTarget(request, isWebSocket, own).kind === "proxy" ? "proxy" : "server";
    } catch {
      return "proxy"; // an absolute form that is none of a target's
    }
  }

  function refuse(request: AnyRequest, response: AnyResponse, error: unknown, refuser: Refuser): void {
    response.on("error", () => {}); // for ever
    request.on("error", () => {}); // for ever
    const requestId = sendError(request, response, error, refuser);
    const reason = error instanceof Error ? error.message : String(error);
    const client = context.trustedProxies.client(request).address;
    context.log.info({ requestId, client, reason }, "request refused");
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void | Promise<void> {
    socket.on("error", () => {}); // for ever
    try {
      refuseAmbiguous(request);
      refuseUpgradeWithBody(request);
      const token = request.headers.upgrade?.trim().toLowerCase();
      const isWebSocket = token === "websocket";
      const target = requestTarget(request, isWebSocket, own);
      const [path = ""] = target.kind === "own" ? target.url.split("?", 1) : [];
      if (doors.has(path, token)) {
        if (target.kind === "own") request.url = target.url;
        return context.door.handle(request, socket, head);
      }
      if (!isWebSocket) throw new TurnaboutError("not_found", "no such upgrade at this path");
      const job = jobOf(request, true);
      if (job === undefined) throw new TurnaboutError("not_found", "no WebSocket at this path");
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      return proxyWebSocketUpgrade(request, socket, head, job, context);
    } catch (error) {
      refuseRaw(socket, error, refuserOf(request, true));
    }
  }

  function connectStream(request: Http2ServerRequest, response: Http2ServerResponse): void | Promise<void> {
    const protocol = request.headers[":protocol"];
    if (protocol === undefined) return connectFromStream(request, context);
    request.stream.on("error", () => {}); // for ever
    try {
      refuseAmbiguous(request);
      const [path = ""] = request.url.split("?", 1);
      if (protocol === PTTH_UPGRADE_TOKEN && doors.has(path, PTTH_UPGRADE_TOKEN)) {
        return context.door.handleStream(request, response);
      }
      if (protocol === PTTH_UPGRADE_TOKEN)
        throw new TurnaboutError("not_found", "no agent endpoint at this path");
      if (protocol !== "websocket")
        throw new TurnaboutError("bad_request", "only :protocol websocket and ptth");
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      const job = jobOf(request, true);
      if (job === undefined) throw new TurnaboutError("not_found", "no WebSocket at this path");
      return proxyWebSocketStream(request, job, context);
    } catch (error) {
      refuse(request, response, error, refuserOf(request, true));
    }
  }

  return {
    request,
    upgrade,
    connect: (request, socket, head) => {
      if (!context.draining()) return connectFromSocket(request, socket, head, context);
      return refuseRaw(socket, new TurnaboutError("control_plane_draining", "shutting down"), "proxy");
    },
    connectStream,
  };
}
