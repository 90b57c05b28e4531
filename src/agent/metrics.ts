/** The agent's own metrics, served as `GET /metrics` on the tunnel connection. */
import { Counter, Gauge, Registry } from "prom-client";

export interface AgentMetrics {
  readonly registry: Registry;
  readonly connections: Gauge;
  readonly connects: Counter<"carrier">;
  readonly connectFailures: Counter<"code">;
  readonly streamsOpen: Gauge;
  readonly certificateEnd: Gauge;
  readonly streamsTotal: Counter<"target" | "outcome">;
  readonly relayedConnections: Gauge;
  readonly relayedTotal: Counter<"outcome">;
}

export function createAgentMetrics(): AgentMetrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
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
    streamsTotal: new Counter({
      name: "turnabout_agent_streams_total",
      help: "Streams to targets that have ended, by outcome.",
      labelNames: ["target", "outcome"],
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
