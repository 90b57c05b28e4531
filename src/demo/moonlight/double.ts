/**
 * A double of Moonlight Web for `turnabout demo` and for tests.
 *
 * It copies what matters to a tunnel: one bearer secret, a response whose first line must arrive long before its second,
 * and a signalling WebSocket that fails at any ping, pong, binary or fragmented frame, which detects a relay that injects
 * its own keepalive.
 */
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { startListening, stopListening } from "../listening.ts";
import { Recent } from "../recent.ts";
import { watchFrames } from "./frame-watch.ts";
import {
  MAX_CONNECTIONS,
  MAX_ECHO_BYTES,
  MAX_REMEMBERED,
  MAX_SIGNALLING_BYTES,
  PAIR_DELAY_MS,
} from "./limits.ts";
import { ECHO_PATH, REFUSE_PATH, echo, refusalStatus, refuseHandshake } from "./own-sockets.ts";
import { Pairings } from "./pairing.ts";
import type { PairOutcome } from "./pairing.ts";
import { openEchoPeer } from "./peer.ts";
import type { OpenPeer } from "./peer.ts";
import { serveRequest, urlOf } from "./routes.ts";
import { serveSignalling } from "./signalling.ts";
import { seedState } from "./state.ts";
import type { MoonlightState } from "./state.ts";

const STREAM_PATH = "/api/host/stream";

export interface MoonlightDoubleOptions {
  /** Address to listen on. Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
  /** The shared secret; Helix's default is `helix`. */
  credentials: string;
  /** From the PIN to the pairing. Default 3,000; `finishPairings` does not wait for it. */
  pairDelayMs?: number;
  /** Creates the peer that responds to WebRTC offers. Default: an echo without media. */
  openPeer?: OpenPeer;
}

export interface SeenRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
}

export interface SeenControlFrame {
  path: string;
  kind: "ping" | "pong";
  payload: Buffer;
}

export interface MoonlightDouble extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:40123`, without a slash at the end. */
  readonly url: string;
  /** Live: a test may look and change. */
  readonly state: MoonlightState;
  /** The last 1,000 requests and handshakes, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** The last 1,000 pings and pongs that callers sent, on both WebSockets. */
  readonly controlFrames: readonly SeenControlFrame[];
  readonly openConnections: number;
  readonly openWebSockets: number;
  /** Ends all pending pairings. @returns how many */
  finishPairings(outcome: PairOutcome): number;
  /** Resolves when no connection is open. */
  whenIdle(): Promise<void>;
  close(): Promise<void>;
}

export async function createMoonlightDouble(options: MoonlightDoubleOptions): Promise<MoonlightDouble> {
  const {
    host = "127.0.0.1",
    port = 0,
    credentials,
    pairDelayMs = PAIR_DELAY_MS,
    openPeer = openEchoPeer,
  } = options;
  const state = seedState();
  const pairings = new Pairings(state, pairDelayMs);
  const requests = new Recent<SeenRequest>(MAX_REMEMBERED);
  const controlFrames = new Recent<SeenControlFrame>(MAX_REMEMBERED);
  const sockets = new Set<Socket>();
  const webSockets = new Set<WebSocket>();
  const idleWaiters = new Set<() => void>();

  // The real server (actix-ws) has no extensions and fails at a ping on this path.
  const streams = new WebSocketServer({
    noServer: true,
    autoPong: false,
    perMessageDeflate: false,
    maxPayload: MAX_SIGNALLING_BYTES,
  });
  const echoes = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    maxPayload: MAX_ECHO_BYTES,
    handleProtocols: ([first]) => first ?? false,
  });

  const server = createServer((request, response) => {
    remember(request);
    serveRequest(request, response, { state, pairings, credentials }).catch(() => request.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("connection", (socket) => {
    sockets.add(socket);
    // After a reset 'close' follows, which is all that is needed.
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      wakeIfIdle();
    });
  });
  server.on("upgrade", (request, socket, head) => {
    remember(request);
    const { pathname, searchParams } = urlOf(request);
    if (pathname === ECHO_PATH) return accept(echoes, request, socket, head, echo);
    if (pathname !== STREAM_PATH)
      return refuseHandshake(socket, pathname === REFUSE_PATH ? refusalStatus(searchParams) : 404);
    accept(streams, request, socket, head, (webSocket) => {
      watchFrames(request.socket, () => webSocket.terminate());
      serveSignalling(webSocket, state, credentials, openPeer);
    });
  });

  // A WebSocket closes after its connection, when the library has processed the last bytes.
  const isIdle = (): boolean => sockets.size === 0 && webSockets.size === 0;
  const whenIdle = (): Promise<void> =>
    isIdle() ? Promise.resolve() : new Promise((resolve) => idleWaiters.add(resolve));

  function wakeIfIdle(): void {
    if (!isIdle()) return;
    for (const wake of idleWaiters) wake();
    idleWaiters.clear();
  }

  function remember(request: IncomingMessage): void {
    requests.add({ method: request.method ?? "", url: request.url ?? "", headers: request.headers });
  }

  function accept(
    to: WebSocketServer,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    then: (webSocket: WebSocket) => void,
  ): void {
    to.handleUpgrade(request, socket, head, (webSocket) => {
      webSockets.add(webSocket);
      webSocket.once("close", () => {
        webSockets.delete(webSocket);
        wakeIfIdle();
      });
      // Bad frames and too large messages: ws closes the connection itself.
      webSocket.on("error", () => {});
      const path = request.url ?? "";
      webSocket.on("ping", (payload) => controlFrames.add({ path, kind: "ping", payload }));
      webSocket.on("pong", (payload) => controlFrames.add({ path, kind: "pong", payload }));
      then(webSocket);
    });
  }

  await startListening(server, { port, host });
  const address = server.address() as AddressInfo;

  const close = async (): Promise<void> => {
    pairings.finishAll("failed");
    for (const webSocket of webSockets) webSocket.terminate();
    await stopListening(server, () => {
      for (const socket of sockets) socket.destroy();
    });
    // `server.close` does not wait for upgraded connections.
    await whenIdle();
  };

  return {
    host,
    port: address.port,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`,
    state,
    get requests() {
      return requests.list();
    },
    get controlFrames() {
      return controlFrames.list();
    },
    get openConnections() {
      return sockets.size;
    },
    get openWebSockets() {
      return webSockets.size;
    },
    finishPairings(outcome) {
      const waiting = pairings.waiting;
      pairings.finishAll(outcome);
      return waiting;
    },
    whenIdle,
    close,
    [Symbol.asyncDispose]: close,
  };
}
