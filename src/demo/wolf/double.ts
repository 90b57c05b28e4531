/**
 * A double of Wolf's API for `turnabout demo` and for tests, on a Unix socket like the real one.
 *
 * It copies what makes Wolf a hard target: HTTP/1.0 with the reason `OK` for every status, one request a connection, no
 * chunked bodies, one thread for all requests, responses that never come, endless event streams and 64-bit ids. It uses a
 * raw socket, because no HTTP library deviates in these ways.
 */
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { startListening, stopListening } from "../listening.ts";
import { Recent } from "../recent.ts";
import { serveConnection } from "./connection.ts";
import type { ReceivedRequest } from "./connection.ts";
import { EventStreams } from "./event-streams.ts";
import { IoThread } from "./io-thread.ts";
import type { LobbyContainers } from "./lobby-containers.ts";
import { MAX_CONNECTIONS, MAX_REMEMBERED_REQUESTS, MAX_WAITING_EVENTS, SSE_KEEPALIVE_MS } from "./limits.ts";
import { createRouter } from "./router.ts";
import type { Routes, WolfContext } from "./router.ts";
import { appRoutes } from "./routes/apps.ts";
import { clientRoutes } from "./routes/clients.ts";
import { ownRoutes } from "./routes/double-own.ts";
import { imageRoutes } from "./routes/images.ts";
import { lobbyRoutes } from "./routes/lobbies.ts";
import { schemaRoutes } from "./routes/schema.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { systemRoutes } from "./routes/system.ts";
import { seedState } from "./state.ts";
import type { WolfState } from "./state.ts";

export interface WolfDoubleOptions {
  /** Must not exist yet; at most 107 bytes (`sun_path`). */
  socketPath: string;
  /** How long `lobbies/create` blocks everything. Default 0; above 10,000 it is 10,000. */
  blockLobbyCreateMs?: number;
  /** Between two `:keepalive` comments on `/api/v1/events`. Default 15,000, as Wolf. */
  sseKeepaliveMs?: number;
  /** Starts the containers of lobbies, as Wolf does with Docker. Default: none are started. */
  containers?: LobbyContainers;
  /** Called when a request has been read completely, before it waits for the thread. */
  onRequest?: (request: ReceivedRequest) => void;
}

export interface WolfDouble extends AsyncDisposable {
  readonly socketPath: string;
  /** Live: a test may look and change. */
  readonly state: WolfState;
  /** The last 1,000 requests, oldest first. */
  readonly requests: readonly ReceivedRequest[];
  readonly openConnections: number;
  readonly eventStreams: number;
  /** Sends to every `/api/v1/events` reader, once the thread is free. Beyond 1,000 waiting events it drops. */
  emitEvent(name: string, data: unknown): void;
  /** Keeps the only thread busy, as a slow `lobbies/create` does, until the returned function is called. */
  hold(): () => void;
  /** Resolves when no connection is open. */
  whenIdle(): Promise<void>;
  close(): Promise<void>;
}

const eventRoutes: Routes = { "GET /api/v1/events": () => ({ kind: "events" }) };

export async function createWolfDouble(options: WolfDoubleOptions): Promise<WolfDouble> {
  const {
    socketPath,
    blockLobbyCreateMs = 0,
    sseKeepaliveMs = SSE_KEEPALIVE_MS,
    containers,
    onRequest,
  } = options;
  const api = [eventRoutes, appRoutes, clientRoutes, sessionRoutes, lobbyRoutes, systemRoutes, imageRoutes];
  const router = createRouter([...api, schemaRoutes(api), ownRoutes]);
  const events = new EventStreams();
  const thread = new IoThread();
  const wolf: WolfContext = { state: seedState(), events, thread, blockLobbyCreateMs, containers };
  const requests = new Recent<ReceivedRequest>(MAX_REMEMBERED_REQUESTS);
  const sockets = new Set<Socket>();
  const idleWaiters = new Set<() => void>();

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
    sockets.add(socket);
    // After EPIPE or ECONNRESET 'close' follows, which is all that is needed.
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size > 0) return;
      for (const wake of idleWaiters) wake();
      idleWaiters.clear();
    });
    const remember = (request: ReceivedRequest): void => {
      requests.add(request);
      onRequest?.(request);
    };
    // An error of a handler ends its connection without a response, as in Wolf.
    serveConnection(socket, { router, wolf, onRequest: remember }).catch(() => socket.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  await startListening(server, { path: socketPath });

  let waitingEvents = 0;
  const onThread = (work: () => void): void => {
    if (waitingEvents >= MAX_WAITING_EVENTS) return;
    waitingEvents++;
    void thread.run(() => {
      waitingEvents--;
      work();
    });
  };
  const keepAlive = setInterval(() => onThread(() => events.keepAlive()), sseKeepaliveMs);

  const close = async (): Promise<void> => {
    clearInterval(keepAlive);
    thread.close();
    await stopListening(server, () => {
      for (const socket of sockets) socket.destroy();
    });
  };

  return {
    socketPath,
    state: wolf.state,
    get requests() {
      return requests.list();
    },
    get openConnections() {
      return sockets.size;
    },
    get eventStreams() {
      return events.size;
    },
    emitEvent: (name, data) => onThread(() => events.emit(name, data)),
    hold: () => thread.hold(),
    whenIdle: () =>
      sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.add(resolve)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
