/** Which part of the control plane a request goes to. Everything that is not on the data path is Hono's. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import { TurnaboutError } from "../wire/errors.ts";
import { parseAuthority } from "../wire/names.ts";
import type { Destination } from "../wire/names.ts";
import { DOOR_PATH } from "../wire/protocol.ts";
import { authenticate } from "./auth/authenticate.ts";
import type { Identity } from "./auth/identity.ts";
import { authorizeProxy, connectFromSocket, connectFromStream } from "./connect-proxy.ts";
import type { ConnectProxyContext } from "./connect-proxy.ts";
import { refuseRaw } from "./doors/upgrade.ts";
import type { UpgradeDoor } from "./doors/upgrade.ts";
import { sendError } from "./http-errors.ts";
import { proxyHttp } from "./http-proxy.ts";
import type { HttpProxyContext, ProxyJob } from "./http-proxy.ts";
import type { AnyRequest, AnyResponse, PortHandlers } from "./listener/port.ts";
import { proxyWebSocketStream, proxyWebSocketUpgrade } from "./websocket-proxy.ts";

export interface RouterContext extends ConnectProxyContext, HttpProxyContext {
  door: UpgradeDoor;
  /** Everything else. */
  app: (request: AnyRequest, response: AnyResponse) => void;
  draining(): boolean;
  /** Path before all of ours, without a trailing slash; usually empty. */
  basePath: string;
}

/** Host that targets of the API route see: what Helix sends, and what a server that checks it expects of a local caller. */
const TARGET_HOST = "localhost";

export function createRouter(context: RouterContext): Omit<PortHandlers, "reversed"> {
  const targetRoute = new RegExp(
    `^${RegExp.escape(context.basePath)}/api/v1/runners/([^/?]+)/targets/([^/?]+)(/[^]*|\\?[^]*)?$`,
  );
  const doors = new Set([`${context.basePath}${DOOR_PATH}`, `${context.basePath}/revdial`]);

  /** Undefined if the URL is not below a target. */
  function apiJob(url: string): ProxyJob | undefined {
    const match = targetRoute.exec(url);
    if (match === null) return undefined;
    const [, runner = "", target = "", rest = "/"] = match;
    const destination = { runner, target };
    return { destination, path: rest.startsWith("?") ? `/${rest}` : rest, route: "api", host: TARGET_HOST };
  }

  function authorizeApi(request: AnyRequest, { runner, target }: Destination): Identity {
    const identity = authenticate(request.headers, "authorization", context.tokens);
    if (!identity.mayDial(runner, target)) {
      throw new TurnaboutError("not_allowed", `${identity.id} may not dial ${runner} ${target}`);
    }
    return identity;
  }

  /** Absolute form: a forward-proxy request. The URI decides, whatever Host says (RFC 9112 §3.2.2). */
  function proxyJob(request: AnyRequest, url: string): ProxyJob {
    const match = /^http:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(url);
    if (match?.[1] === undefined) {
      throw new TurnaboutError("bad_request", "forward proxy: only http:// URIs without user information");
    }
    const rest = match[2] ?? "/";
    const destination = authorizeProxy(request, match[1], context.tokens);
    return { destination, path: rest.startsWith("?") ? `/${rest}` : rest, route: "proxy", host: match[1] };
  }

  function request(request: AnyRequest, response: AnyResponse): void {
    const url = request.url ?? "/";
    try {
      const isAbsolute = !url.startsWith("/") && url !== "*";
      const job = isAbsolute ? proxyJob(request, url) : apiJob(url);
      if (job === undefined) return context.app(request, response);
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      if (!isAbsolute) authorizeApi(request, job.destination);
      proxyHttp(request, response, job, context);
    } catch (error) {
      request.resume();
      refuse(request, response, error);
    }
  }

  function refuse(request: AnyRequest, response: AnyResponse, error: unknown): void {
    response.on("error", () => {}); // for ever
    request.on("error", () => {}); // for ever
    const isProxy = !(request.url ?? "/").startsWith("/");
    const requestId = sendError(request, response, error, isProxy ? "proxy" : "server");
    const reason = error instanceof Error ? error.message : String(error);
    context.log.info({ requestId, reason }, "request refused");
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = request.url ?? "/";
    const [path = ""] = url.split("?", 1);
    if (doors.has(path)) return context.door.handle(request, socket, head);
    socket.on("error", () => {}); // for ever
    try {
      if (request.headers.upgrade?.trim().toLowerCase() !== "websocket") {
        throw new TurnaboutError("not_found", "no such upgrade at this path");
      }
      const isAbsolute = !url.startsWith("/");
      const job = isAbsolute ? proxyJob(request, url) : apiJob(url);
      if (job === undefined) throw new TurnaboutError("not_found", "no WebSocket at this path");
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      if (!isAbsolute) authorizeApi(request, job.destination);
      void proxyWebSocketUpgrade(request, socket, head, job, context);
    } catch (error) {
      refuseRaw(socket, error, url.startsWith("/") ? "server" : "proxy");
    }
  }

  function connectStream(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const protocol = request.headers[":protocol"];
    if (protocol === undefined) return void connectFromStream(request, context);
    request.stream.on("error", () => {}); // for ever
    const api = apiJob(request.url);
    try {
      if (protocol !== "websocket") throw new TurnaboutError("bad_request", "only :protocol websocket");
      if (context.draining()) throw new TurnaboutError("control_plane_draining", "shutting down");
      const job = api ?? authorityJob(request);
      if (job === undefined) throw new TurnaboutError("not_found", "no WebSocket at this path");
      if (job.route === "api") authorizeApi(request, job.destination);
      void proxyWebSocketStream(request, job, context);
    } catch (error) {
      sendError(
        request,
        response,
        error,
        parseAuthority(request.authority) === undefined ? "server" : "proxy",
      );
    }
  }

  /** Extended CONNECT to `<target>.<runner>` itself: the forward proxy's WebSocket. */
  function authorityJob(request: Http2ServerRequest): ProxyJob | undefined {
    if (parseAuthority(request.authority) === undefined) return undefined;
    const destination = authorizeProxy(request, request.authority, context.tokens);
    return { destination, path: request.url, route: "proxy", host: request.authority };
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
