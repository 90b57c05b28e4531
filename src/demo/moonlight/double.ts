/**
 * A double of Moonlight Web for `turnabout demo` and for tests, in its three dialects.
 *
 * It copies what matters to a tunnel: how it authenticates, a response whose first part must arrive long before its second,
 * signalling that ends at any ping and lives on without a Close, and a site whose parts find each other by relative URLs.
 */
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { OPCODE } from "../../wire/websocket/frame-header.ts";
import { startListening, stopListening } from "../listening.ts";
import { Recent } from "../recent.ts";
import { BareSocket } from "./bare-socket.ts";
import type { Frame } from "./bare-socket.ts";
import type { Dialect, DialectContext } from "./dialect.ts";
import { createFork } from "./fork/fork.ts";
import { MAX_CONNECTIONS, MAX_ECHO_BYTES, MAX_REMEMBERED, PAIR_DELAY_MS } from "./limits.ts";
import { ECHO_PATH, REFUSE_PATH, echo, refusalStatus, refuseHandshake } from "./own-sockets.ts";
import type { PairOutcome } from "./pairing.ts";
import { openEchoPeer } from "./peer.ts";
import type { OpenPeer } from "./peer.ts";
import { BadRequest, text, urlOf } from "./responses.ts";
import { seedState } from "./state.ts";
import type { MoonlightState } from "./state.ts";
import { createV2 } from "./v2/v2.ts";
import { createV3 } from "./v3/v3.ts";

/** `fork`: Helix's. `v2`, `v3`: upstream's. */
export type MoonlightDialect = "fork" | "v2" | "v3";

const DIALECTS: Readonly<Record<MoonlightDialect, (context: DialectContext) => Promise<Dialect>>> = {
  fork: createFork,
  v2: createV2,
  v3: createV3,
};

export interface MoonlightDoubleOptions {
  /** Address to listen on. Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
  /** Default: the fork's. */
  dialect?: MoonlightDialect;
  /** The fork's shared secret; Helix's default is `helix`. Upstream's: a token of an administrator's, of 64 hex digits. */
  credentials: string;
  /** Upstream's: the field in which a trusted proxy names the user. Default: none. */
  usernameField?: string;
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

/** A Close that a caller has sent to signalling. */
export interface SeenClose {
  path: string;
  /** 1005 without one. */
  code: number;
  reason: string;
  isMasked: boolean;
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
  /** The last 1,000 Closes that callers sent to signalling, oldest first. */
  readonly closes: readonly SeenClose[];
  readonly openConnections: number;
  readonly openWebSockets: number;
  /** Ends all pending pairings. @returns how many */
  finishPairings(outcome: PairOutcome): number;
  /** Resolves when no connection is open. */
  whenIdle(): Promise<void>;
  close(): Promise<void>;
}

/** RFC 6455 §7.1.5: a Close without a code. */
const NO_STATUS = 1005;

export async function createMoonlightDouble(options: MoonlightDoubleOptions): Promise<MoonlightDouble> {
  const { host = "127.0.0.1", port = 0, credentials, openPeer = openEchoPeer } = options;
  const { dialect: name = "fork", pairDelayMs = PAIR_DELAY_MS } = options;
  const state = seedState();
  const dialect = await DIALECTS[name]({
    state,
    credentials,
    usernameField: options.usernameField,
    openPeer,
    pairDelayMs,
  });
  const requests = new Recent<SeenRequest>(MAX_REMEMBERED);
  const controlFrames = new Recent<SeenControlFrame>(MAX_REMEMBERED);
  const closes = new Recent<SeenClose>(MAX_REMEMBERED);
  const sockets = new Set<Socket>();
  const webSockets = new Set<object>();
  const idleWaiters = new Set<() => void>();

  const echoes = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    maxPayload: MAX_ECHO_BYTES,
    handleProtocols: ([first]) => first ?? false,
  });

  const server = createServer((request, response) => {
    remember(request);
    serve(request, response).catch(() => request.destroy());
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
    const url = urlOf(request);
    if (url.pathname === ECHO_PATH) return openEcho(request, socket, head);
    if (url.pathname === REFUSE_PATH) return refuseHandshake(socket, refusalStatus(url.searchParams));
    const opened = dialect.open(request, url);
    if (typeof opened === "number") return refuseHandshake(socket, opened);
    // The frames come later, so there is a receiver by then.
    const bare: BareSocket = new BareSocket(request, socket, head, (frame) => {
      observe(request.url ?? "", frame);
      receiver.receive(frame);
    });
    const receiver = opened(bare);
    webSockets.add(bare);
    request.socket.once("close", () => {
      webSockets.delete(bare);
      wakeIfIdle();
    });
  });

  // A WebSocket of the library closes after its connection, when the last bytes have been processed.
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

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await dialect.serve(request, response);
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      text(response, 400, error.message);
    }
  }

  function observe(path: string, { opcode, isMasked, payload }: Frame): void {
    if (opcode === OPCODE.ping) controlFrames.add({ path, kind: "ping", payload });
    if (opcode === OPCODE.pong) controlFrames.add({ path, kind: "pong", payload });
    if (opcode !== OPCODE.close) return;
    const code = payload.length < 2 ? NO_STATUS : payload.readUInt16BE(0);
    closes.add({ path, code, reason: payload.toString("utf8", 2), isMasked });
  }

  function openEcho(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    echoes.handleUpgrade(request, socket, head, (webSocket) => {
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
      echo(webSocket);
    });
  }

  await startListening(server, { port, host });
  const address = server.address() as AddressInfo;

  const close = async (): Promise<void> => {
    dialect.pairings.finishAll("failed");
    for (const webSocket of echoes.clients) webSocket.terminate();
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
    get closes() {
      return closes.list();
    },
    get openConnections() {
      return sockets.size;
    },
    get openWebSockets() {
      return webSockets.size;
    },
    finishPairings(outcome) {
      const { waiting } = dialect.pairings;
      dialect.pairings.finishAll(outcome);
      return waiting;
    },
    whenIdle,
    close,
    [Symbol.asyncDispose]: close,
  };
}
