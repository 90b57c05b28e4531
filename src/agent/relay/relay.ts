/**
 * The relay: an agent endpoint for agents without a route to the control plane. Each of their dials becomes one of its own.
 * The control plane checks their credentials, and the HTTP/2 connection is between them and the control plane.
 *
 *     agent behind            relay                  control plane
 *       │ ── GET …/revdial, its token ──▶ │                    │
 *       │                  │ ── the same, Via, Forwarded ──────▶ │
 *       │                  │ ◀───────────── 101, or a refusal ── │
 *       │ ◀── 101, or the refusal ─────── │                    │
 *       │ ◀════════ HTTP/2, roles reversed, as it is ════════▶ │
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import type { Logger } from "../../wire/log.ts";
import { AGENT_ENDPOINT_PATH, SHORT_ENDPOINT_PATH } from "../../wire/protocol.ts";
import type { ServerTrust } from "../transport/credentials.ts";
import { endpointUrl, redactUrl } from "../transport/server-url.ts";
import { MAX_RELAY_PENDING_REQUESTS } from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import { RelayListener } from "./listener.ts";
import { formatListenAddress, parseListenAddress } from "./listen-address.ts";
import { RelayForwarder } from "./forwarder.ts";
import { freeSocketPath, listenWithMode } from "./unix-socket.ts";

export interface RelayOptions {
  /** URL of the control plane, or of the next relay. */
  server: string;
  /** No client certificate: a relay lends none to the agents behind it. */
  tls: ServerTrust;
  /** `unix:/path[;mode=0660]` or `host:port`. */
  listen: readonly string[];
  log: Logger;
  metrics: AgentMetrics;
}

export interface Relay {
  /** Where it listens: `unix:/path` or `host:port`, with the actual port. */
  readonly addresses: readonly string[];
  /** Takes no new connections. Forwarded ones continue until they are quiet, or until the deadline. */
  drain(deadlineMs: number): Promise<void>;
}

/** @throws TurnaboutError `config_invalid`, or the system's error if an address cannot be listened on */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { log, metrics, server } = options;
  const listener = new RelayListener({
    paths: endpointPaths(server),
    accept: (upgrade) => forwarder.handle(upgrade),
    refused: (code) => metrics.relayedTotal.inc({ outcome: code }),
  });
  const forwarder = new RelayForwarder({
    ...options,
    relayId: randomBytes(6).toString("hex"),
    respond: (socket, response) => listener.respond(socket, response),
  });
  const servers: Server[] = [];
  const addresses: string[] = [];
  const stop = () => {
    for (const each of servers) each.close();
    listener.destroy();
  };
  try {
    for (const text of options.listen) {
      const httpServer = listener.createServer();
      servers.push(httpServer);
      const address = await listen(httpServer, text);
      addresses.push(address);
      httpServer.on("error", (error) => log.error({ err: error }, "relay: listener failed"));
      log.info({ address, server: redactUrl(server) }, "relay listens");
    }
  } catch (error) {
    stop();
    throw error;
  }
  return {
    addresses,
    drain: async (deadlineMs) => {
      stop();
      await forwarder.drain(deadlineMs);
    },
  };
}

/** The control plane's own two paths, without a base path and below the one that the relay itself dials. */
function endpointPaths(server: string): ReadonlySet<string> {
  const base = endpointUrl(server).pathname.slice(0, -AGENT_ENDPOINT_PATH.length);
  return new Set(
    ["", base].flatMap((prefix) => [`${prefix}${AGENT_ENDPOINT_PATH}`, `${prefix}${SHORT_ENDPOINT_PATH}`]),
  );
}

async function listen(server: Server, text: string): Promise<string> {
  const address = parseListenAddress(text);
  if (address.kind === "unix") {
    await freeSocketPath(address.path);
    listenWithMode(server, address.path, address.mode, MAX_RELAY_PENDING_REQUESTS);
  } else {
    server.listen({ host: address.host, port: address.port, backlog: MAX_RELAY_PENDING_REQUESTS });
  }
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return formatListenAddress(address.kind === "tcp" ? { ...address, port } : address);
}
