/** The control plane's figures, served as `GET /metrics` in Prometheus' text format. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { DurationHistogram } from "../metrics/duration-histogram.ts";
import type { Durations } from "../metrics/durations.ts";
import { registerCounter, registerGauge } from "../metrics/labelled.ts";
import { registerBuildInfo, registerProcessMetrics } from "../metrics/process-metrics.ts";
import { VERSION } from "../wire/version.ts";
import type { RequestFigures } from "./figures/request-figures.ts";
import { registerTargetMetrics } from "./figures/target-metrics.ts";

export interface ControlMetrics {
  readonly registry: Registry;
  readonly dials: Counter<"outcome">;
  readonly dialSeconds: Histogram;
  readonly requests: Counter<"outcome">;
  readonly agentEvents: Counter<"event">;
  readonly shareRefusals: Counter<"share">;
  readonly callersStopped: Counter<"reason">;
}

export interface Gauges {
  connections(): number;
  runners(): Readonly<Record<string, number>>;
  waitingDials(): number;
  streams(): number;
  unreadBytes(): number;
  /** When certificates end, in Unix seconds, by name. */
  certificateExpiries(): Readonly<Record<string, number>>;
  storeWritable(): boolean;
  accessLogDropped(): number;
  unsavedChanges(): number;
  /** Of transactions, and of flushes to the disk. */
  readonly store: { readonly writes: Durations; readonly flushes: Durations };
  readonly requests: RequestFigures;
  /** Whether a target was reached at the last attempt, and its runner is connected. */
  isUp(runner: string, target: string): boolean;
  /** All targets of known runners, by state. */
  targets(): Readonly<Record<string, number>>;
  /** By reason. */
  refusedCredentials(): Readonly<Record<string, number>>;
  readonly tunnels: TunnelGauges;
}

/** Of tunnel connections, by carrier; streams that wait, by what they wait for. */
export interface TunnelGauges {
  readonly roundTrips: Readonly<Record<string, Durations>>;
  bytes(): Readonly<Record<string, number>>;
  stalled(): Readonly<Record<string, number>>;
}

export function createControlMetrics(gauges: Gauges): ControlMetrics {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: "turnabout_connections",
    help: "Tunnel connections that are established.",
    registers,
    collect() {
      this.set(gauges.connections());
    },
  });
  registerGauge(registry, {
    name: "turnabout_runners",
    help: "Known runners, by state.",
    label: "state",
    read: () => gauges.runners(),
  });
  new Gauge({
    name: "turnabout_waiting_dials",
    help: "Dials that wait for a runner to connect.",
    registers,
    collect() {
      this.set(gauges.waitingDials());
    },
  });
  new Gauge({
    name: "turnabout_streams_open",
    help: "Open streams on tunnel connections.",
    registers,
    collect() {
      this.set(gauges.streams());
    },
  });
  new Gauge({
    name: "turnabout_unread_bytes",
    help: "Bytes in memory that wait for callers and targets to read them.",
    registers,
    collect() {
      this.set(gauges.unreadBytes());
    },
  });
  registerGauge(registry, {
    name: "turnabout_certificate_expiry_timestamp_seconds",
    help: "Expiry of a certificate (Unix time): the server's own, and the earliest of the client CAs.",
    label: "certificate",
    read: () => gauges.certificateExpiries(),
  });
  new Counter({
    name: "turnabout_access_log_dropped_lines_total",
    help: "Lines of the access log that were dropped because its file or pipe did not take them.",
    registers,
    collect() {
      this.reset();
      this.inc(gauges.accessLogDropped());
    },
  });
  registerStore(registry, gauges);
  registerTunnels(registry, gauges.tunnels);
  registerTargetMetrics(registry, gauges.requests, (runner, target) => gauges.isUp(runner, target));
  registerGauge(registry, {
    name: "turnabout_targets",
    help: "Targets of known runners: up, down (not reached at the last attempt), or offline with their runner.",
    label: "state",
    read: () => gauges.targets(),
  });
  registerCounter(registry, {
    name: "turnabout_refused_credentials_total",
    help: "Credentials of callers and agents that were refused, by reason.",
    label: "reason",
    read: () => gauges.refusedCredentials(),
  });
  registerBuildInfo(registry, "control-plane", VERSION);
  registerProcessMetrics(registry);
  return {
    registry,
    dials: new Counter({
      name: "turnabout_dials_total",
      help: "Streams dialled, by outcome (ok or an error code).",
      labelNames: ["outcome"],
      registers,
    }),
    dialSeconds: new Histogram({
      name: "turnabout_dial_seconds",
      help: "From the dial to the agent's 200.",
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    requests: new Counter({
      name: "turnabout_http_requests_total",
      help: "HTTP requests to targets, by outcome (ok or an error code).",
      labelNames: ["outcome"],
      registers,
    }),
    agentEvents: agentEvents(registry),
    shareRefusals: new Counter({
      name: "turnabout_share_refusals_total",
      help: "Requests that were refused because their caller already had its share, by what is shared.",
      labelNames: ["share"],
      registers,
    }),
    callersStopped: new Counter({
      name: "turnabout_callers_stopped_total",
      help: "Exchanges that were ended because their caller did not read: not-read or too-many-bytes.",
      labelNames: ["reason"],
      registers,
    }),
  };
}

/** Each event has a series from the start: Prometheus takes the first value that it sees for no increase. */
function agentEvents(registry: Registry): Counter<"event"> {
  const counter = new Counter({
    name: "turnabout_agent_events_total",
    help: "Events of runners: connected, replaced, rerouted, left, lost, grace-expired (lost, and not back in time).",
    labelNames: ["event"],
    registers: [registry],
  });
  for (const event of ["connected", "replaced", "rerouted", "left", "lost", "grace-expired"]) {
    counter.inc({ event }, 0);
  }
  return counter;
}

function registerStore(registry: Registry, gauges: Gauges): void {
  const registers = [registry];
  new Gauge({
    name: "turnabout_store_writable",
    help: "1 while changes are saved, 0 while the data directory cannot be written.",
    registers,
    collect() {
      this.set(gauges.storeWritable() ? 1 : 0);
    },
  });
  new Gauge({
    name: "turnabout_store_unsaved_changes",
    help: "Changes that are to be saved when the data directory can be written again.",
    registers,
    collect() {
      this.set(gauges.unsavedChanges());
    },
  });
  new DurationHistogram({
    name: "turnabout_store_write_seconds",
    help: "Transactions of the data directory. Each holds up the event loop for so long.",
    registers,
    series: () => [[{}, gauges.store.writes]],
  });
  new DurationHistogram({
    name: "turnabout_store_flush_seconds",
    help: "Flushes of the data directory to the disk, one for all changes that wait.",
    registers,
    series: () => [[{}, gauges.store.flushes]],
  });
}

function registerTunnels(registry: Registry, tunnels: TunnelGauges): void {
  new DurationHistogram({
    name: "turnabout_tunnel_rtt_seconds",
    help: "Round trips of PINGs on tunnel connections.",
    labelNames: ["carrier"],
    registers: [registry],
    series: () => Object.entries(tunnels.roundTrips).map(([carrier, durations]) => [{ carrier }, durations]),
  });
  registerCounter(registry, {
    name: "turnabout_tunnel_bytes_total",
    help: "Bytes on tunnel connections, in both directions.",
    label: "carrier",
    read: () => tunnels.bytes(),
  });
  registerGauge(registry, {
    name: "turnabout_stalled_streams",
    help: "Streams with bytes for agents that cannot be sent now, by what they wait for.",
    label: "cause",
    read: () => tunnels.stalled(),
  });
}
