/** All connections of an agent to its control plane: as many slots as it is configured to have. */
import { TurnaboutError } from "../../wire/errors.ts";
import { stalledStreams } from "../../wire/session/stalled-streams.ts";
import type { StallCause } from "../../wire/session/stalled-streams.ts";
import { METRICS_MAX_STREAMS } from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import { ConnectionSlot } from "./connection-slot.ts";
import type { SlotContext } from "./connection-slot.ts";
import { FirstConnection } from "./first-connection.ts";

export interface SlotsOptions extends Pick<
  SlotContext,
  "config" | "standBy" | "endpointRunnerIds" | "serve"
> {
  /** How many connections. 0 for an agent that is only a relay. */
  count: number;
  metrics: AgentMetrics;
}

export class ConnectionSlots {
  readonly #slots: readonly ConnectionSlot[];
  readonly #drainMs: number;
  readonly #running: Promise<unknown>;
  /** Resolves at the first connection, and at the end. */
  readonly #started = Promise.withResolvers<void>();
  readonly #firstConnection = new FirstConnection();
  readonly #allClosed = Promise.withResolvers<void>();
  #open = 0;
  #isClosing = false;
  #reconnectSpreadMs: number | undefined;

  /** Begins to dial at once. */
  constructor({ count, metrics, ...shared }: SlotsOptions) {
    this.#drainMs = shared.config.drainMs;
    const reconnectSpreadMs = (): number | undefined => this.#reconnectSpreadMs;
    const context: SlotContext = {
      config: shared.config,
      standBy: shared.standBy,
      get reconnectSpreadMs() {
        return reconnectSpreadMs();
      },
      endpointRunnerIds: () => shared.endpointRunnerIds(),
      serve: (connected) =>
        shared.serve({
          ...connected,
          onHello: () => {
            connected.onHello();
            this.#started.resolve();
          },
        }),
      connectionsChanged: (delta) => {
        this.#open += delta;
        metrics.connections.set(this.#open);
        if (this.#open === 0 && this.#isClosing) this.#allClosed.resolve();
      },
      connectFailed: (error) => {
        this.#firstConnection.failed(error);
        metrics.connectFailures.inc({ code: error instanceof TurnaboutError ? error.code : "internal" });
      },
      roundTrip: (ms) => metrics.roundTrips.observeMs(ms),
      registered: () => this.#firstConnection.made(),
      established: (kind) => metrics.connects.inc({ carrier: kind }),
    };
    this.#slots = Array.from({ length: count }, (_, index) => new ConnectionSlot(index, context));
    // The others start after the first: with a wrong token or a dead server they would only repeat its errors.
    const [first, ...others] = this.#slots;
    this.#running = Promise.all([
      first?.run(),
      this.#started.promise.then(() => Promise.all(others.map((slot) => slot.run()))),
    ]);
  }

  /** Established connections at this moment, draining ones included. */
  get connections(): number {
    return this.#open;
  }

  /** On all connections so far, in both directions. */
  get transferredBytes(): number {
    return this.#slots.reduce((sum, { connections }) => sum + connections.transferredBytes, 0);
  }

  /** Streams that cannot send, by what they wait for. */
  stalledStreams(): Readonly<Record<StallCause, number>> {
    const open = this.#slots.flatMap(({ connections }) => [...connections.all()]);
    return stalledStreams(open, METRICS_MAX_STREAMS);
  }

  /** As {@link FirstConnection.wait}. */
  connected(signal?: AbortSignal): Promise<void> {
    return this.#firstConnection.wait(signal);
  }

  /** The control plane asks its agents to spread their reconnects over this time. */
  spreadReconnects(spreadMs: number): void {
    this.#reconnectSpreadMs = spreadMs;
  }

  /** The file of the client certificate holds another one now. */
  certificateRenewed(fingerprint: string): void {
    for (const slot of this.#slots) slot.certificateRenewed(fingerprint);
  }

  /** Drains all connections. What is open at the drain deadline is destroyed. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const slot of this.#slots) slot.drain();
    this.#firstConnection.close();
    this.#started.resolve(); // lets the other slots start, and so end
    if (this.#open === 0) this.#allClosed.resolve();
    const timer = setTimeout(() => {
      for (const slot of this.#slots) slot.destroy();
    }, this.#drainMs);
    await Promise.all([this.#allClosed.promise, this.#running]);
    clearTimeout(timer);
  }
}
