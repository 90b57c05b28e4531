/** The options of an agent, checked, with their defaults. */
import { randomBytes } from "node:crypto";
import { TurnaboutError } from "../wire/errors.ts";
import type { KeepaliveOptions } from "../wire/session/keepalive.ts";
import { DRAIN_DEADLINE_MS } from "../wire/limits.ts";
import { RecentLog } from "../wire/diagnosis/recent-log.ts";
import type { Logger } from "../wire/log.ts";
import type { Tracing } from "../wire/trace/tracing.ts";
import type { CarrierKind } from "../wire/session/carrier.ts";
import type { CarrierChoice } from "./carriers/auto.ts";
import type { Secret, TlsFiles } from "./transport/credentials.ts";
import { endpointUrl } from "./transport/server-url.ts";
import { parseEngineUrl } from "./discovery/engine-url.ts";
import { DEFAULT_CONNECTIONS, MAX_CONNECTIONS } from "./limits.ts";
import { parseListenAddress } from "./relay/listen-address.ts";
import { checkRunners, parseTarget } from "./targets/targets.ts";
import type { Runner, TargetAddress } from "./targets/targets.ts";

/** Events of an agent's connections. */
export type AgentLifecycleEvent =
  | { type: "connected"; slot: number; carrier: CarrierKind; why: string }
  | { type: "lost"; slot: number; reason: string }
  | { type: "attempt-failed"; slot: number; error: Error; retryInMs: number }
  | { type: "replaced"; slot: number }
  /** A newer agent process serves this runner; the connections continue with the others. */
  | { type: "runner-replaced"; runner: string };

export interface AgentOptions extends TlsFiles, KeepaliveOptions {
  /** URL of the control plane, or of a relay: `https://cp.example`, `http://localhost:8080/base`, `unix:/run/turnabout.sock` */
  server: string;
  /**
   * Runners and their targets. A target is its address (`unix:/path`, `host:port`), followed by options such as `;http=2`;
   * or a full {@link Runner} entry.
   * @example { "wolf-local": { wolf: "unix:/var/run/wolf/wolf.sock" } }
   */
  runners: Record<string, Record<string, string>> | Runner[];
  /**
   * Be a relay: addresses (`unix:/path`, `host:port`) that other agents may dial in place of the control plane. Their
   * connections are forwarded, with their own credentials. Default none. With it, and without `docker`, `runners` may be
   * empty.
   */
  listen?: readonly string[] | undefined;
  /** Bearer token. A file is read again at every attempt. Optional only with a client certificate. */
  token?: Secret | undefined;
  /**
   * Docker Engine whose labelled containers are announced while they run: `unix:///var/run/docker.sock` or
   * `tcp://host:port`. Default none.
   */
  docker?: string | undefined;
  /**
   * Announce containers in the host's network too. Their labels can then name any port of this host, also those that listen
   * on loopback only. Default false.
   */
  discoverHostNetwork?: boolean | undefined;
  /** Default `auto`. */
  carrier?: CarrierChoice | undefined;
  /** Connections to the control plane. Default 2, at most 16. */
  connections?: number | undefined;
  /** Serve `/events`, so that {@link Agent.addRunner} works while connected. Default true. */
  events?: boolean | undefined;
  /** How long `close()` waits for open streams, in milliseconds. Default 30,000. */
  drainMs?: number | undefined;
  /** First and longest delay between attempts, in milliseconds. Defaults 500 and 8,000. */
  backoffBaseMs?: number | undefined;
  backoffCapMs?: number | undefined;
  /** Limit for one carrier, in milliseconds: name, proxy, TLS, upgrade and HTTP/2 handshake together. Default 20,000. */
  attemptTimeoutMs?: number | undefined;
  /** Longest pause before a stand-by that was refused offers itself again, in milliseconds. Default 30,000. */
  standbyDelayMs?: number | undefined;
  log?: Logger | undefined;
  /** Traces the connections to targets: `openTelemetry(provider)`. Default: none. */
  tracing?: Tracing | undefined;
  onEvent?: ((event: AgentLifecycleEvent) => void) | undefined;
}

export interface AgentConfig extends Omit<AgentOptions, "runners" | "docker"> {
  runners: Runner[];
  docker: TargetAddress | undefined;
  listen: readonly string[];
  carrier: CarrierChoice;
  connections: number;
  events: boolean;
  drainMs: number;
  log: RecentLog;
  onEvent: (event: AgentLifecycleEvent) => void;
  /** Random id of this agent process. */
  processId: string;
}

/** @throws TurnaboutError `config_invalid` */
export function resolveAgentConfig(options: AgentOptions): AgentConfig {
  endpointUrl(options.server); // a wrong URL is an error now, not at the first attempt
  const runners = Array.isArray(options.runners) ? options.runners : toRunners(options.runners);
  const listen = options.listen ?? [];
  for (const address of listen) parseListenAddress(address);
  // Containers are announced on a tunnel connection, and an agent without a runner opens none.
  if (runners.length === 0 && (listen.length === 0 || options.docker !== undefined)) {
    throw new TurnaboutError("config_invalid", "no runner given");
  }
  checkRunners(runners);
  const connections = options.connections ?? DEFAULT_CONNECTIONS;
  if (!Number.isInteger(connections) || connections < 1 || connections > MAX_CONNECTIONS) {
    throw new TurnaboutError("config_invalid", `connections: use 1 to ${MAX_CONNECTIONS}`);
  }
  if ((options.certFile === undefined) !== (options.keyFile === undefined)) {
    throw new TurnaboutError(
      "config_invalid",
      "client certificate: give both its certificate file and its key file",
    );
  }
  if (runners.length > 0 && options.token === undefined && options.certFile === undefined) {
    throw new TurnaboutError("config_invalid", "no token and no client certificate given");
  }
  return {
    ...options,
    runners,
    docker: options.docker === undefined ? undefined : parseEngineUrl(options.docker),
    listen,
    carrier: options.carrier ?? "auto",
    connections,
    events: options.events ?? true,
    drainMs: options.drainMs ?? DRAIN_DEADLINE_MS,
    log: RecentLog.of(options.log),
    onEvent: options.onEvent ?? (() => {}),
    processId: randomBytes(12).toString("hex"),
  };
}

function toRunners(runners: Record<string, Record<string, string>>): Runner[] {
  return Object.entries(runners).map(([id, targets]) => ({
    id,
    targets: Object.entries(targets).map(([name, spec]) => parseTarget(`${name}=${spec}`)),
  }));
}
