/** Which part of the control plane a request goes to. Whatever leads to no target is the API's. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import { CodedError, TurnaboutError } from "../../wire/errors.ts";
import {
  PEER_ENDPOINT_PATH,
  PEER_UPGRADE_TOKEN,
  PTTH_UPGRADE_TOKEN,
  WELL_KNOWN_ENDPOINT_PATH,
} from "../../wire/protocol.ts";
import type { AgentEndpoint } from "../admission/agent-endpoint.ts";
import { EndpointPaths } from "../admission/endpoint-path.ts";
import type { RevDialEndpoint } from "../bridge/revdial-endpoint.ts";
import { refuseRaw, sendError } from "../listener/error-response.ts";
import type { AnyRequest, AnyResponse, PortHandlers } from "../listener/messages.ts";
import { writeHead } from "../listener/response-writer.ts";
import { refuseAmbiguous, refuseUpgradeWithBody } from "../listener/refused-requests.ts";
import { connectFromSocket, connectFromStream } from "../proxy/connect-proxy.ts";
import type { ConnectProxyContext } from "../proxy/connect-proxy.ts";
import { proxyHttp } from "../proxy/http-proxy.ts";
import type { ProxyContext, ProxyJob, Redirect } from "../proxy/job.ts";
import { proxyWebSocketStream, proxyWebSocketUpgrade } from "../websocket/websocket-proxy.ts";
import { requestIdOf } from "../trusted-proxies/request-id.ts";
import { OtherRecords } from "./other-records.ts";
import { OwnPaths } from "./own-paths.ts";
import { RequestJobs } from "./request-job.ts";
import type { RequestJobsContext } from "./request-job.ts";

/** An API that is served here and not by a target. */
export interface App {
  /** Paths that it serves, below the base path. */
  paths: readonly string[];
  handle(request: AnyRequest, response: AnyResponse): void;
}

/** Takes over the connection of another node of a cluster. */
export interface PeerEndpoint {
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface RouterContext extends ConnectProxyContext, ProxyContext, RequestJobsContext {
  agentEndpoint: AgentEndpoint;
  /** Undefined where RevDial's protocol is switched off. */
  revdialEndpoint: RevDialEndpoint | undefined;
  /** Where other nodes of a cluster connect; undefined without one. */
  peerEndpoint: PeerEndpoint | undefined;
  app: App;
  draining: () => boolean;
  /** Path before all of ours, without a trailing slash; usually empty. */
  basePath: string;
  /** Host of the URL that agents dial, where it is known. */
  ownHost: string | undefined;
}

export function createRouter(context: RouterContext): Omit<PortHandlers, "reversed"> {
  const { agentEndpoint, app, basePath, draining, ownHost, peerEndpoint, revdialEndpoint, routes } = context;
  const endpointPaths = new EndpointPaths(basePath);
  const ownPaths = new OwnPaths(basePath, [...app.paths, ...routes.paths, WELL_KNOWN_ENDPOINT_PATH]);
  const records = new OtherRecords(context);
  const jobs = new RequestJobs(context, {
    ownHost,
    isOwnPath: (url, isWebSocket) => (isWebSocket ? routes.has(url) : ownPaths.has(url)),
  });

  /** A request that is neither CONNECT nor an upgrade: to a target, or to the API. */
  function request(request: AnyRequest, response: AnyResponse): void {
    try {
      refuseAmbiguous(request);
      const job = jobs.jobOf(request, false);
      if (job === undefined) {
        records.api(request, response);
        return app.handle(request, response);
      }
      if ("redirect" in job) return redirect(request, response, job);
      refuseIfDraining();
      proxyHttp(request, response, job, context);
    } catch (error) {
      request.resume();
      refuse(request, response, error, { isWebSocket: false });
    }
  }

  /** An HTTP/1.1 upgrade: of an agent, or a WebSocket to a target. */
  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void | Promise<void> {
    socket.on("error", () => {}); // permanent
    try {
      refuseAmbiguous(request);
      refuseUpgradeWithBody(request);
      const token = request.headers.upgrade?.trim().toLowerCase();
      const isWebSocket = token === "websocket";
      const target = jobs.targetOf(request, isWebSocket);
      const [path = ""] = target.kind === "own" ? target.url.split("?", 1) : [];
      if (endpointPaths.has(path, token)) {
        if (target.kind === "own") request.url = target.url;
        if (revdialEndpoint?.isFor(request) === true) return revdialEndpoint.handle(request, socket, head);
        return agentEndpoint.handle(request, socket, head);
      }
      if (
        peerEndpoint !== undefined &&
        token === PEER_UPGRADE_TOKEN &&
        path === basePath + PEER_ENDPOINT_PATH
      )
        return peerEndpoint.accept(request, socket, head);
      if (!isWebSocket)
        throw new TurnaboutError("not_found", "this path does not support the requested upgrade");
      const job = webSocketJobOf(request);
      refuseIfDraining();
      return proxyWebSocketUpgrade(request, socket, head, job, context);
    } catch (error) {
      refuseSocket(request, socket, error);
    }
  }

  /** CONNECT on HTTP/1.1: a tunnel to a target. */
  function connect(request: IncomingMessage, socket: Duplex, head: Buffer): void | Promise<void> {
    if (!draining()) return connectFromSocket(request, socket, head, context);
    const error = new TurnaboutError("control_plane_draining", "request: the control plane is shutting down");
    records.refused(request, socket, { error, refuser: "proxy", way: "connect" });
    refuseRaw(socket, error, "proxy", requestIdOf(request));
  }

  /** CONNECT on HTTP/2: a tunnel to a target, or, extended (RFC 8441), the same as an upgrade. */
  function connectStream(request: Http2ServerRequest, response: Http2ServerResponse): void | Promise<void> {
    const protocol = request.headers[":protocol"];
    if (protocol === undefined) return connectFromStream(request, context);
    request.stream.on("error", () => {}); // permanent
    try {
      refuseAmbiguous(request);
      const [path = ""] = request.url.split("?", 1);
      if (protocol === PTTH_UPGRADE_TOKEN) {
        if (endpointPaths.has(path, PTTH_UPGRADE_TOKEN)) return agentEndpoint.handleStream(request, response);
        throw new TurnaboutError("not_found", "no agent endpoint at this path");
      }
      if (protocol !== "websocket")
        throw new TurnaboutError("bad_request", "extended CONNECT: :protocol must be websocket or ptth");
      refuseIfDraining();
      return proxyWebSocketStream(request, webSocketJobOf(request), context);
    } catch (error) {
      refuse(request, response, error, { isWebSocket: true });
    }
  }

  function webSocketJobOf(request: AnyRequest): ProxyJob {
    const job = jobs.jobOf(request, true);
    if (job !== undefined && !("redirect" in job)) return job;
    throw new TurnaboutError("not_found", "this path does not support WebSocket");
  }

  function refuseIfDraining(): void {
    if (draining())
      throw new TurnaboutError("control_plane_draining", "request: the control plane is shutting down");
  }

  function redirect(request: AnyRequest, response: AnyResponse, { redirect: location }: Redirect): void {
    request.on("error", () => {}); // permanent
    response.on("error", () => {}); // permanent
    request.resume();
    writeHead(response, 308, { location, "cache-control": "no-store", "content-length": "0" });
    response.end();
  }

  function refuseSocket(request: IncomingMessage, socket: Duplex, cause: unknown): void {
    const error = jobs.refusalOf(request, true, cause);
    const refuser = jobs.refuserOf(request, true);
    records.refused(request, socket, { error, refuser, way: "websocket" });
    refuseRaw(socket, error, refuser, requestIdOf(request));
  }

  function refuse(
    request: AnyRequest,
    response: AnyResponse,
    cause: unknown,
    { isWebSocket }: { isWebSocket: boolean },
  ): void {
    response.on("error", () => {}); // permanent
    request.on("error", () => {}); // permanent
    const error = jobs.refusalOf(request, isWebSocket, cause);
    const refuser = jobs.refuserOf(request, isWebSocket);
    const way = isWebSocket ? "websocket" : refuser === "proxy" ? "forward-proxy" : "route";
    records.refused(request, response, { error, refuser, way });
    const requestId = sendError(request, response, error, refuser);
    const reason = error instanceof Error ? error.message : String(error);
    const client = context.trustedProxies.client(request).address;
    const code = error instanceof CodedError ? error.code : "internal";
    context.refusalLog.info({ requestId, client, code, reason }, "request refused");
  }

  const peerToken = peerEndpoint === undefined ? undefined : PEER_UPGRADE_TOKEN;
  return { request, upgrade, connect, connectStream, peerToken };
}
