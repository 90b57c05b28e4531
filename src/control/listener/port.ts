/**
 * One port for all protocols. The first bytes of a connection decide between TLS, HTTP/2 by prior knowledge and HTTP/1.1;
 * a trusted proxy may send a PROXY header before them. Inside TLS, ALPN decides between HTTP/2, HTTP/1.1 and a tunnel
 * connection (rh2, h2-reverse).
 */
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import http2 from "node:http2";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { guardHttp2Session, widenConnection } from "../../wire/streams/end-stream.ts";
import { socketBelow } from "../../wire/streams/splice.ts";
import type { Logger } from "../../wire/log.ts";
import { descriptorOf } from "../../wire/system/unsent-bytes.ts";
import { isReversedAlpn } from "../../wire/tls/alpn.ts";
import { MAX_HEADER_PAIRS } from "../../wire/limits.ts";
import { REVERSED_ALPN } from "../../wire/protocol.ts";
import { CallerConnections } from "../connections/caller-connections.ts";
import { CALLER_RESETS_BURST, CALLER_RESETS_PER_S, CALLER_TCP_KEEPALIVE_MS } from "../connections/limits.ts";
import { Callers } from "../in-flight/callers.ts";
import type { DrainedOptions } from "../in-flight/callers.ts";
import type { InFlight } from "../in-flight/in-flight.ts";
import { OpenList } from "../in-flight/open-list.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import {
  CALLER_HEADERS_CHECK_MS,
  CALLER_HEADERS_TIMEOUT_MS,
  CALLER_KEEPALIVE_MS,
  CALLER_MAX_STREAMS,
  CALLER_SESSION_MEMORY_MB,
  CALLER_STREAM_WINDOW_BYTES,
  CALLER_WINDOW_BYTES,
  MAX_HTTP2_HEADER_BLOCK_BYTES,
  MAX_HTTP2_REQUEST_HEADER_BYTES,
  MAX_REQUEST_HEADER_BYTES,
  SNIFF_TIMEOUT_MS,
} from "../limits.ts";
import { ClientErrors } from "./client-errors.ts";
import { http1Handover, readFirstBytes, unfinishedHttp1Handover } from "./first-bytes.ts";
import { ResponseOrder } from "./response-order.ts";
import { guardHandlers } from "./guarded-handlers.ts";
import { listen } from "./listen.ts";
import type { ListenOptions } from "./listen.ts";
import type { PortHandlers } from "./messages.ts";
import { RateLimitedLog } from "./rate-limited-log.ts";
import {
  dropBody,
  refuseExpectation,
  refuseLargeHeader,
  refuseMissingHost,
  refuseBody,
} from "./refused-requests.ts";
import { sniff } from "./sniff.ts";

/** Certificates in PEM. */
export interface PortTls {
  cert: string;
  key: string;
  /** CAs that sign client certificates. Default: no certificate is requested. */
  clientCa?: string | undefined;
  /** Revoked client certificates: PEM revocation lists, or serials one a line. */
  clientCrl?: string | undefined;
}

export interface Port {
  /** @throws TurnaboutError `config_invalid`, or the system's own error */
  listen(options: ListenOptions): Promise<net.AddressInfo>;
  /** The descriptor that it listens on; undefined if it does not listen. */
  readonly fd: number | undefined;
  /** New certificates for new connections; old connections keep theirs. */
  setTls(options: PortTls): void;
  /** Everything is served on; see {@link Callers.drain}. */
  drain(): void;
  /** See {@link Callers.drained}. */
  drained(options: DrainedOptions): Promise<boolean>;
  /** See {@link Callers.flushed}. */
  flushed(timeoutMs: number): Promise<boolean>;
  /** Closes the listener. Other processes that listen on the same socket go on. */
  stopAccepting(): void;
  /** Ends all open connections. */
  destroy(): void;
}

export interface PortOptions {
  handlers: PortHandlers;
  log: Logger;
  tls: PortTls | undefined;
  trustedProxies: TrustedProxies;
  inFlight: InFlight;
  /** A connection has been accepted. */
  onAccepted?: () => void;
}

/** What the servers of a port share. */
interface Shared {
  handlers: PortHandlers;
  log: Logger;
  inFlight: InFlight;
  callers: Callers;
  connections: CallerConnections;
  order: ResponseOrder;
}

export function createPort({ handlers, log, inFlight, trustedProxies, ...options }: PortOptions): Port {
  const sockets = new OpenList<{ socket: net.Socket; listIndex: number }>();
  const order = new ResponseOrder();
  const callers = new Callers(inFlight, order);
  const connections = new CallerConnections({ log: new RateLimitedLog(log), refuseBody, dropBody });
  const guarded = guardHandlers(handlers, log);
  const shared: Shared = { handlers: guarded, log, inFlight, callers, connections, order };
  const h1 = createHttp1(shared);
  const h2 = createHttp2(shared);
  const secure = options.tls === undefined ? undefined : createTls(options.tls, shared, h1, h2);

  const keepAlive = { keepAlive: true, keepAliveInitialDelay: CALLER_TCP_KEEPALIVE_MS };
  const server = net.createServer({ ...keepAlive, noDelay: true, allowHalfOpen: true }, (socket) => {
    const accepted = { socket, listIndex: -1 };
    sockets.add(accepted);
    socket.once("close", () => sockets.remove(accepted)).on("error", () => {}); // permanently
    options.onAccepted?.();
    callers.connected(socket);
    if (connections.accept(socket)) sniff(socket, { h1, h2, secure }, { trustedProxies, connections, log });
  });

  return {
    listen: async (where) => {
      const address = await listen(server, where);
      server.on("error", (error) => log.error({ err: error }, "listener failed"));
      return address;
    },
    get fd() {
      return descriptorOf(server);
    },
    setTls: (current) => secure?.setSecureContext(contextOptions(current)),
    drain: () => callers.drain(),
    drained: (what) => callers.drained(what),
    flushed: (timeoutMs) => callers.flushed(timeoutMs),
    stopAccepting: () => void server.close(),
    destroy: () => {
      h1.close();
      callers.destroy();
      for (const { socket } of sockets.all()) socket.destroy();
    },
  };
}

function createHttp1({ handlers, inFlight, callers, connections, order }: Shared): http.Server {
  const server = http.createServer({
    maxHeaderSize: MAX_REQUEST_HEADER_BYTES,
    headersTimeout: CALLER_HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: CALLER_HEADERS_CHECK_MS,
    requireHostHeader: false, // node's own 400 would bypass ResponseOrder; see refuseMissingHost()
    requestTimeout: 0, // uploads may take long; CallerConnections ends those that stall
    keepAliveTimeout: CALLER_KEEPALIVE_MS,
    // Other upgrades are ignored (RFC 9110 §7.8): `Upgrade: h2c` of curl --http2 is served as an ordinary request. So are
    // all in HTTP/1.0, which knows neither upgrades nor 1xx responses (§15.2).
    shouldUpgradeCallback: (request) => {
      if (request.httpVersion === "1.0") return false;
      const token = request.headers.upgrade?.trim().toLowerCase();
      return token === "websocket" || token === "ptth" || (token ?? "") === handlers.peerToken;
    },
  });
  const clientErrors = new ClientErrors(order);
  const follow = (request: IncomingMessage, response: ServerResponse): void => {
    order.follow(request, response);
    callers.exchange(request, response);
  };
  server.on("connection", (socket) => {
    callers.connected(socket);
    connections.paceHttp1(socket);
  });
  server.on("request", (request, response) => {
    follow(request, response);
    // Node drops what its parser has read behind an ignored upgrade, so no further request can be served here.
    if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
    connections.serveHttp1(request, response, () => {
      if (!refuseMissingHost(request, response)) void handlers.request(request, response);
    });
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    follow(request, response);
    connections.serveHttp1(request, response, () => refuseExpectation(request, response));
  });
  server.on("upgrade", (request, socket, head) => {
    inFlight.add(socket);
    callers.tookOver(request.socket);
    connections.releaseHttp1(request);
    order.takeTurn(request, socket, head, (...turn) => void handlers.upgrade(...turn));
  });
  server.on("connect", (request, socket, head) => {
    inFlight.add(socket);
    callers.tookOver(request.socket);
    connections.releaseHttp1(request);
    order.takeTurn(request, socket, head, (...turn) => void handlers.connect(...turn));
  });
  server.on("clientError", (error, socket) => clientErrors.handle(error, socket));
  // This server never listens itself, but this event starts its header and keep-alive timeouts.
  server.emit("listening");
  return server;
}

function createHttp2({ handlers, callers, connections, inFlight, log }: Shared): http2.Http2Server {
  const server = http2.createServer({
    settings: {
      enableConnectProtocol: true,
      maxConcurrentStreams: CALLER_MAX_STREAMS,
      maxHeaderListSize: MAX_HTTP2_REQUEST_HEADER_BYTES,
      initialWindowSize: CALLER_STREAM_WINDOW_BYTES,
    },
    maxSessionMemory: CALLER_SESSION_MEMORY_MB,
    maxSendHeaderBlockLength: MAX_HTTP2_HEADER_BLOCK_BYTES,
    // A target may repeat a field that node takes for a single one, as nginx does with add_header.
    strictSingleValueFields: false,
    maxHeaderListPairs: MAX_HEADER_PAIRS, // node's default of 128 is less than HTTP/1.1 callers may send
    // For what comes in one turn of the event loop: CallerConnections counts them after it.
    streamResetBurst: 2 * CALLER_RESETS_BURST,
    streamResetRate: CALLER_RESETS_PER_S,
  });
  connections.followHttp2(server);
  server.on("connection", (socket: net.Socket) => callers.tookOver(socket));
  server.on("session", (http2Session) => {
    guardHttp2Session(http2Session);
    callers.http2Session(http2Session);
    http2Session.on("error", (error) =>
      log.debug({ reason: error.message }, "caller's HTTP/2 connection failed"),
    );
    widenConnection(http2Session, CALLER_WINDOW_BYTES);
  });
  server.on("request", (request, response) => {
    inFlight.add(request.stream);
    connections.serveHttp2(request, response, () => {
      if (!refuseLargeHeader(request, response)) void handlers.request(request, response);
    });
  });
  server.on("checkExpectation", (request: Http2ServerRequest, response: Http2ServerResponse) => {
    inFlight.add(request.stream);
    connections.serveHttp2(request, response, () => refuseExpectation(request, response));
  });
  // Without this listener node's compatibility layer responds to every CONNECT with 405.
  server.on("connect", (request, response) => {
    inFlight.add(request.stream);
    connections.serveHttp2(request, response, () => {
      if (!refuseLargeHeader(request, response)) void handlers.connectStream(request, response);
    });
  });
  server.on("sessionError", () => {});
  return server;
}

function contextOptions({ cert, key, clientCa }: PortTls): tls.SecureContextOptions {
  return { cert, key, ...(clientCa !== undefined && { ca: clientCa }) };
}

const RESET_WITHIN_HANDSHAKE =
  "the peer reset the connection; an agent does so if it does not trust our certificate or dials a name that is not in it";

function createTls(
  options: PortTls,
  { handlers, callers, connections, log }: Shared,
  h1: http.Server,
  h2: http2.Http2Server,
): tls.Server {
  const server = tls.createServer({
    ...contextOptions(options),
    ALPNProtocols: ["h2", "http/1.1", ...REVERSED_ALPN],
    requestCert: options.clientCa !== undefined,
    rejectUnauthorized: false, // callers have tokens; an agent without a valid certificate needs its token
    handshakeTimeout: SNIFF_TIMEOUT_MS,
  });
  const refusals = new RateLimitedLog(log);
  server.on("secureConnection", (socket) => {
    socket.on("error", () => {}); // permanently
    const below = socketBelow(socket);
    if (below instanceof net.Socket) callers.tookOver(below);
    const alpn = socket.alpnProtocol;
    if (alpn === "h2") {
      socket.allowHalfOpen = false;
      h2.emit("connection", socket);
    } else if (isReversedAlpn(alpn)) {
      connections.becomesTunnel(socket);
      void handlers.reversed(socket);
    } else {
      socket.allowHalfOpen = true;
      callers.connected(socket);
      readFirstBytes(socket, http1Handover(socket, h1), (seen, reason) =>
        unfinishedHttp1Handover(seen, reason, socket, h1),
      );
    }
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
    const isReset = error.code === "ECONNRESET";
    refusals.warn(
      { reason: isReset ? RESET_WITHIN_HANDSHAKE : error.message, peer: socket.remoteAddress },
      "TLS handshake failed",
    );
    socket.destroy();
  });
  return server;
}
