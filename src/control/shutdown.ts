/**
 * How a control plane ends: by draining, or at once where its start has failed.
 *
 *     serving ─▶ draining ────▶ ending      everything is served on until what was open has finished, or the deadline
 *         └────▶ handed over ─────▲         another process listens already: agents and callers are sent to it at once
 *
 * Without a successor the port refuses connections only while it is `ending`, which takes milliseconds; on an inherited socket
 * it refuses none.
 */
import { setImmediate } from "node:timers/promises";
import { announceRestart } from "./admission/agent-notices.ts";
import type { CloseReason } from "./auth/active-streams.ts";
import type { ClusterParts } from "./cluster/cluster.ts";
import type { InstalledExtensions } from "./install-extensions.ts";
import { FLUSH_MS, LATE_REQUESTS_MS, SPREAD_NOTICES_AT_ONCE } from "./limits.ts";
import type { Port } from "./listener/port.ts";
import type { Settings } from "./options.ts";
import type { Parts } from "./parts.ts";
import type { AgentConnection } from "./registry/agent-connection.ts";

/** What runs beside the parts, and is stopped with them. */
export interface Running {
  extensions: InstalledExtensions | undefined;
  cluster?: ClusterParts | undefined;
  /** Files that are followed. */
  stops: (() => void)[];
  /** Runners are no longer saved as they come and go. */
  stopRemembering: () => void;
}

export interface CloseOptions {
  /**
   * Another process listens on the same socket ({@link ControlPlane.listenFd}) and has the store: this one stops accepting,
   * and sends its agents and callers there. Default false.
   */
  successor?: boolean | undefined;
  /** Default: the control plane's option of this name. */
  drainMs?: number | undefined;
}

export interface ShutdownParts {
  parts: Parts;
  running: Running;
  port: Port;
  settings: Pick<Settings, "drainMs" | "listenFd" | "log">;
}

type Stage = "serving" | "draining" | "handed-over" | "ending";

const RESTARTING: CloseReason = { kind: "restarting", text: "the control plane is restarting" };
const SHUTTING_DOWN = "the control plane is shutting down";

export class Shutdown {
  #stage: Stage = "serving";
  #closed: Promise<void> | undefined;

  /** It is not to be chosen for new work. */
  get hasBegun(): boolean {
    return this.#stage !== "serving";
  }

  /** Agents find another process at the same address, or will. */
  readonly refusesAgents = (): boolean => this.#stage === "handed-over" || this.#stage === "ending";

  /** New requests and dials are refused. */
  readonly isEnding = (): boolean => this.#stage === "ending";

  /** Idempotent: the first call counts. */
  close(what: ShutdownParts, options: CloseOptions = {}): Promise<void> {
    return (this.#closed ??= this.#close(what, options));
  }

  async #close(what: ShutdownParts, options: CloseOptions): Promise<void> {
    const { parts, running, port } = what;
    try {
      await this.#drain(what, options);
      this.#stage = "ending";
      await end(what);
      await running.cluster?.close();
    } finally {
      this.#stage = "ending";
      port.destroy();
      release(parts, running);
      await parts.accessLog.close();
    }
  }

  async #drain({ parts, running, port, settings }: ShutdownParts, options: CloseOptions): Promise<void> {
    const { activeStreams, inFlight } = parts;
    const { log } = settings;
    const { successor = false, drainMs = settings.drainMs } = options;
    const startedAtMs = performance.now();
    this.#stage = successor ? "handed-over" : "draining";
    port.drain();
    if (successor) {
      port.stopAccepting();
      handOver(parts, running);
      parts.store.successor.follow();
      void announce(parts, log);
    }
    // With a successor nothing new arrives but on old connections.
    const beforeMs = successor ? Infinity : startedAtMs;
    if (!(await port.drained({ beforeMs, timeoutMs: drainMs }))) {
      log.warn({ open: inFlight.size }, "the drain deadline has passed: ending what is still open");
      activeStreams.closeAll(RESTARTING, beforeMs);
      inFlight.cut(beforeMs);
      running.extensions?.drain();
    }
    await endLate(parts, port, running, settings.listenFd !== undefined && !successor);
  }
}

/** Leaves no timer, and the store closed. */
export function release(parts: Parts, { extensions, cluster, stops, stopRemembering }: Running): void {
  void cluster?.close();
  for (const stop of stops) stop();
  stopRemembering();
  parts.certificateExpiry.close();
  parts.reconnectSpread.close();
  parts.registry.close();
  parts.shares.unread.close();
  extensions?.close();
  parts.bus.close();
  parts.tokens.close();
  parts.signIns.close();
  parts.history.close();
  parts.store.close();
}

/** Nothing of it needs the store, which the successor has. */
function handOver(parts: Parts, { extensions, cluster, stopRemembering }: Running): void {
  void cluster?.close(); // the successor is the node now
  stopRemembering();
  endReaders(parts);
  parts.registry.handOver();
  extensions?.drain();
  extensions?.close();
}

/** They may read on at the next process. */
function endReaders({ accessLog, bus }: Parts): void {
  bus.endReaders();
  accessLog.endReaders();
}

/** In batches, so that thousands of agents do not hold up the requests. */
async function announce({ openConnections, reconnectSpread }: Parts, log: Settings["log"]): Promise<void> {
  const spreadMs = reconnectSpread.ms;
  const connections = [...openConnections];
  while (connections.length > 0) {
    for (const connection of connections.splice(0, SPREAD_NOTICES_AT_ONCE))
      announceRestart(connection, spreadMs, log);
    await setImmediate();
  }
}

/**
 * What has begun since the shutdown did gets the time that ordinary requests take. What has no end gets none.
 *
 * @param isHeld something else holds the socket open: new connections wait there for the next process from now on, and
 *   those that were accepted get the same time
 */
async function endLate(parts: Parts, port: Port, { extensions }: Running, isHeld: boolean): Promise<void> {
  const { activeStreams, inFlight } = parts;
  const beforeMs = performance.now();
  const late = { beforeMs, timeoutMs: LATE_REQUESTS_MS };
  activeStreams.closeEndless(RESTARTING);
  if (extensions !== undefined) await atMost(FLUSH_MS, extensions.settled());
  if (isHeld) port.stopAccepting();
  if (await (isHeld ? port.drained(late) : inFlight.ended(late))) return;
  activeStreams.closeAll(RESTARTING, beforeMs);
  await inFlight.ended({ beforeMs, timeoutMs: FLUSH_MS });
}

async function atMost(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}

/** Agents first, then the listener, then the last responses. */
async function end({ parts, running, port }: ShutdownParts): Promise<void> {
  const spreadMs = parts.reconnectSpread.ms;
  const agents = [...parts.openConnections].map((connection) => drainAgent(connection, spreadMs));
  running.cluster?.drain();
  port.stopAccepting();
  parts.activeStreams.closeEndless(RESTARTING);
  endReaders(parts);
  parts.registry.close();
  running.extensions?.drain();
  const [isFlushed] = await Promise.all([port.flushed(FLUSH_MS), ...agents]);
  if (!isFlushed) parts.activeStreams.closeAll(RESTARTING);
}

/** Resolves when the connection has closed. */
async function drainAgent(connection: AgentConnection, spreadMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  connection.tunnel.onClose(resolve);
  connection.drain("draining", SHUTTING_DOWN, FLUSH_MS, spreadMs);
  // It may have drained before, with a deadline of its own.
  const timer = setTimeout(() => connection.destroy(SHUTTING_DOWN), FLUSH_MS);
  await promise;
  clearTimeout(timer);
}
