/** What is counted of tunnel connections, for the metrics: bytes and round trips by carrier, and streams that wait. */
import { Durations } from "../../metrics/durations.ts";
import { stalledStreams } from "../../wire/session/stalled-streams.ts";
import type { StallCause, WatchedTunnel } from "../../wire/session/stalled-streams.ts";
import { METRICS_MAX_STREAMS } from "../figures/limits.ts";
import { Http2Tunnel } from "../tunnels/http2-tunnel.ts";
import type { AgentTunnelKind } from "../tunnels/tunnel.ts";
import type { AgentConnection } from "./agent-connection.ts";

/** Of tunnels: from one host to another continent, and a path that is full. */
const ROUND_TRIP_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export class TunnelFigures {
  readonly roundTrips: Readonly<Record<AgentTunnelKind, Durations>> = {
    rh2: new Durations(ROUND_TRIP_BUCKETS_S),
    ptth: new Durations(ROUND_TRIP_BUCKETS_S),
    websocket: new Durations(ROUND_TRIP_BUCKETS_S),
    h2: new Durations(ROUND_TRIP_BUCKETS_S),
    revdial: new Durations(ROUND_TRIP_BUCKETS_S),
  };
  readonly #open: ReadonlySet<AgentConnection>;
  /** Bytes of tunnels that have closed. */
  readonly #closed: Record<AgentTunnelKind, number> = { rh2: 0, ptth: 0, websocket: 0, h2: 0, revdial: 0 };

  /** @param open every admitted connection until it closes */
  constructor(open: ReadonlySet<AgentConnection>) {
    this.#open = open;
  }

  /** A connection is no longer among the open ones. */
  closed({ tunnel }: AgentConnection): void {
    if (tunnel.kind !== "node") this.#closed[tunnel.kind] += tunnel.transferredBytes;
  }

  /** In both directions, so far. */
  bytes(): Readonly<Record<AgentTunnelKind, number>> {
    const bytes = { ...this.#closed };
    for (const { tunnel } of this.#open) {
      if (tunnel.kind !== "node") bytes[tunnel.kind] += tunnel.transferredBytes;
    }
    return bytes;
  }

  stalled(): Readonly<Record<StallCause, number>> {
    return stalledStreams(this.#http2Tunnels(), METRICS_MAX_STREAMS);
  }

  *#http2Tunnels(): Generator<WatchedTunnel> {
    for (const { tunnel, openStreams } of this.#open) {
      if (openStreams > 0 && tunnel instanceof Http2Tunnel) yield tunnel;
    }
  }
}
