/** The agent's own metrics, served as `GET /metrics` on the tunnel connection. */
import { Counter, Gauge, Registry } from "prom-client";
import { BoundedCounts } from "../metrics/bounded-counts.ts";
import { DurationHistogram } from "../metrics/duration-histogram.ts";
import { Durations } from "../metrics/durations.ts";
import { registerCounter, registerGauge } from "../metrics/labelled.ts";
import { registerBuildInfo, registerProcessMetrics } from "../metrics/process-metrics.ts";
import { VERSION } from "../wire/version.ts";
import { METRICS_MAX_TARGETS } from "./limits.ts";

export interface AgentMetrics {
  readonly registry: Registry;
  readonly connections: Gauge;
  readonly connects: Counter<"carrier">;
  readonly connectFailures: Counter<"code">;
  readonly streamsOpen: Gauge;
  readonly certificateEnd: Gauge;
  /** Streams to targets that have ended, by target and outcome. */
  readonly streams: BoundedCounts;
  readonly targetConnects: Durations;
  readonly roundTrips: Durations;
  readonly relayedConnections: Gauge;
  readonly relayedTotal: Counter<"outcome">;
}

/** What is read when the metrics are. */
export interface AgentReaders {
  targets(): Iterable<{ runner: string; target: string; healthy: boolean }>;
  /** On tunnel connections, in both directions, so far. */
  tunnelBytes(): number;
  /** Streams that cannot send, by what they wait for. */
  stalled(): Readonly<Record<string, number>>;
  /** Undefined without discovery. */
  discovery(): DiscoveryFigures | undefined;
}

export interface DiscoveryFigures {
  /** The engine has responded to the last request for its list; undefined before the first. */
  isUp: boolean | undefined;
  announced: number;
  /** Labelled containers that cannot be announced. */
  refused: number;
  readonly changes: { announced: number; withdrawn: number };
  readonly failures: { list: number; events: number };
  /** From the request for the list to all of it. */
  readonly lists: Durations;
}

/** From a target beside its agent to one behind a slow network. */
const CONNECT_BUCKETS_S = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5];
const ROUND_TRIP_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

const NOTHING_TO_READ: AgentReaders = {
  targets: () => [],
  tunnelBytes: () => 0,
  stalled: () => ({}),
  discovery: () => undefined,
};

export function createAgentMetrics(given: Partial<AgentReaders> = {}): AgentMetrics {
  const registry = new Registry();
  const registers = [registry];
  const readers = { ...NOTHING_TO_READ, ...given };
  const streams = new BoundedCounts(METRICS_MAX_TARGETS);
  const targetConnects = new Durations(CONNECT_BUCKETS_S);
  const roundTrips = new Durations(ROUND_TRIP_BUCKETS_S);
  registerTargets(registry, readers, streams);
  registerDiscovery(registry, () => readers.discovery());
  new DurationHistogram({
    name: "turnabout_agent_target_connect_seconds",
    help: "Until a target had accepted a connection.",
    registers,
    series: () => [[{}, targetConnects]],
  });
  new DurationHistogram({
    name: "turnabout_agent_rtt_seconds",
    help: "Round trips of PINGs to the control plane.",
    registers,
    series: () => [[{}, roundTrips]],
  });
  new Counter({
    name: "turnabout_agent_tunnel_bytes_total",
    help: "Bytes on tunnel connections, in both directions.",
    registers,
    collect() {
      this.reset();
      this.inc(readers.tunnelBytes());
    },
  });
  registerGauge(registry, {
    name: "turnabout_agent_stalled_streams",
    help: "Streams with bytes for the control plane that cannot be sent now, by what they wait for.",
    label: "cause",
    read: () => readers.stalled(),
  });
  registerBuildInfo(registry, "agent", VERSION);
  registerProcessMetrics(registry);
  return {
    registry,
    streams,
    targetConnects,
    roundTrips,
    connections: new Gauge({
      name: "turnabout_agent_connections",
      help: "Tunnel connections that are established.",
      registers,
    }),
    connects: new Counter({
      name: "turnabout_agent_connects_total",
      help: "Tunnel connections that were established, by carrier.",
      labelNames: ["carrier"],
      registers,
    }),
    connectFailures: new Counter({
      name: "turnabout_agent_connect_failures_total",
      help: "Failed attempts to reach the control plane, by reason.",
      labelNames: ["code"],
      registers,
    }),
    streamsOpen: new Gauge({
      name: "turnabout_agent_streams_open",
      help: "Streams to targets that are open.",
      registers,
    }),
    certificateEnd: new Gauge({
      name: "turnabout_agent_certificate_expiry_timestamp_seconds",
      help: "When the client certificate expires (Unix time); 0 without one.",
      registers,
    }),
    relayedConnections: new Gauge({
      name: "turnabout_agent_relayed_connections",
      help: "Connections of other agents that the relay forwards.",
      registers,
    }),
    relayedTotal: new Counter({
      name: "turnabout_agent_relayed_total",
      help: "Connections of other agents that the relay was to forward, by outcome.",
      labelNames: ["outcome"],
      registers,
    }),
  };
}

function registerTargets(registry: Registry, readers: AgentReaders, streams: BoundedCounts): void {
  new Counter({
    name: "turnabout_agent_streams_total",
    help: "Streams to targets that have ended, by outcome.",
    labelNames: ["target", "outcome"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, outcome, count } of streams.all()) this.inc({ target: name, outcome }, count);
    },
  });
  registerGauge(registry, {
    name: "turnabout_agent_targets",
    help: "Targets by whether they were reached at the last attempt: up or down.",
    label: "state",
    read: () => {
      const counts = { up: 0, down: 0 };
      for (const { healthy } of readers.targets()) counts[healthy ? "up" : "down"] += 1;
      return counts;
    },
  });
  new Gauge({
    name: "turnabout_agent_target_up",
    help: "1 if the target was reached at the last attempt, else 0; of a bounded number of targets.",
    labelNames: ["runner", "target"],
    registers: [registry],
    collect() {
      this.reset();
      let left = METRICS_MAX_TARGETS;
      for (const { runner, target, healthy } of readers.targets()) {
        if (left === 0) return;
        left -= 1;
        this.set({ runner, target }, healthy ? 1 : 0);
      }
    },
  });
}

function registerDiscovery(registry: Registry, read: () => DiscoveryFigures | undefined): void {
  const byEngine = (of: (figures: DiscoveryFigures) => number | undefined): Record<string, number> => {
    const figures = read();
    const value = figures === undefined ? undefined : of(figures);
    return value === undefined ? {} : { docker: value };
  };
  registerGauge(registry, {
    name: "turnabout_agent_discovery_up",
    help: "1 if the engine has responded to the last request for its containers, else 0.",
    label: "engine",
    read: () => byEngine(({ isUp }) => (isUp === undefined ? undefined : Number(isUp))),
  });
  registerGauge(registry, {
    name: "turnabout_agent_discovery_runners",
    help: "Containers that are announced as runners.",
    label: "engine",
    read: () => byEngine(({ announced }) => announced),
  });
  registerGauge(registry, {
    name: "turnabout_agent_discovery_refused_containers",
    help: "Labelled containers that are not announced; the log says why.",
    label: "engine",
    read: () => byEngine(({ refused }) => refused),
  });
  registerCounter(registry, {
    name: "turnabout_agent_discovery_changes_total",
    help: "Containers that were announced and withdrawn.",
    label: "change",
    read: () => ({ ...read()?.changes }),
  });
  registerCounter(registry, {
    name: "turnabout_agent_discovery_failures_total",
    help: "Requests to the engine that have failed: for the list, or for its events.",
    label: "request",
    read: () => ({ ...read()?.failures }),
  });
  new DurationHistogram({
    name: "turnabout_agent_discovery_list_seconds",
    help: "How long the engine takes for the list of its containers.",
    registers: [registry],
    series: () => {
      const figures = read();
      return figures === undefined ? [] : [[{}, figures.lists]];
    },
  });
}
