/** The control plane's figures, served as `GET /metrics` in Prometheus' text format. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

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
  new Gauge({
    name: "turnabout_runners",
    help: "Known runners, by state.",
    labelNames: ["state"],
    registers,
    collect() {
      for (const [state, count] of Object.entries(gauges.runners())) this.set({ state }, count);
    },
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
  new Gauge({
    name: "turnabout_certificate_expiry_timestamp_seconds",
    help: "Expiry of a certificate (Unix time): the server's own, and the earliest of the client CAs.",
    labelNames: ["certificate"],
    registers,
    collect() {
      this.reset();
      for (const [certificate, expiryS] of Object.entries(gauges.certificateExpiries()))
        this.set({ certificate }, expiryS);
    },
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
    agentEvents: new Counter({
      name: "turnabout_agent_events_total",
      help: "Registry events: connected, replaced, lost, grace-expired.",
      labelNames: ["event"],
      registers,
    }),
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
