/**
 * The relay: a door for agents without a route to the control plane. Each of their dials becomes one of its own; the
 * control plane checks their credentials, and the session is between them and the control plane.
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
import { AGENT_ENDPOINT_PATH } from "../../wire/protocol.ts";
import type { TlsFiles } from "../transport/credentials.ts";
import { doorUrl, redactUrl } from "../transport/server-url.ts";
import { MAX_RELAY_ARRIVALS } from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import { RelayListener } from "./listener.ts";
import { formatListenAddress, parseListenAddress } from "./listen-address.ts";
import { RelayForwarder } from "./forwarder.ts";
import { freeSocketPath, listenWithMode } from "./unix-socket.ts";

export interface RelayOptions {
  /** URL of the control plane, or of the next relay. */
  server: string;
  tls: TlsFiles;
  /** `unix:/path[;mode=0660]` or `host:port`. */
  listen: readonly string[];
  log: Logger;
  metrics: AgentMetrics;
}

export interface Relay {
  /** Where it listens: `unix:/path` or `host:port`, with the real port. */
  readonly addresses: readonly string[];
  /** Takes no new connections. Those that are passed on go on until they are quiet, or until the deadline. */
  drain(deadlineMs: number): Promise<void>;
}

/** @throws TurnaboutError `config_invalid`, or the system's error if an address cannot be listened on */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { log, metrics, server } = options;
  const arrivals = new RelayListener({
    doors: doorPaths(server),
    accept: (arrival) => passing.handle(arrival),
    refused: (code) => metrics.relayedTotal.inc({ outcome: code }),
  });
  const passing = new RelayForwarder({
    ...options,
    relayId: randomBytes(6).toString("hex"),
    answer: (socket, bytes) => arrivals.answer(socket, bytes),
  });
  const servers: Server[] = [];
  const addresses: string[] = [];
  const stop = () => {
    for (const each of servers) each.close();
    arrivals.destroy();
  };
  try {
    for (const text of options.listen) {
      const listener = arrivals.createServer();
      servers.push(listener);
      const address = await listen(listener, text);
      addresses.push(address);
      listener.on("error", (error) => log.error({ err: error }, "relay: listener failed"));
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
      await passing.drain(deadlineMs);
    },
  };
}

/** The control plane's own two, below no base path and below the one that the relay itself dials. */
function doorPaths(server: string): ReadonlySet<string> {
  const base = doorUrl(server).pathname.slice(0, -AGENT_ENDPOINT_PATH.length);
  return new Set(["", base].flatMap((prefix) => [`${prefix}${AGENT_ENDPOINT_PATH}`, `${prefix}/revdial`]));
}

async function listen(server: Server, text: string): Promise<string> {
  const address = parseListenAddress(text);
  if (address.kind === "unix") {
    await freeSocketPath(address.path);
    listenWithMode(server, address.path, address.mode, MAX_RELAY_ARRIVALS);
  } else {
    server.listen({ host: address.host, port: address.port, backlog: MAX_RELAY_ARRIVALS });
  }
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return formatListenAddress(address.kind === "tcp" ? { ...address, port } : address);
}
