/**
 * One of an agent's connections to its control plane, as a state machine that runs until the agent closes. No error ends
 * it.
 *
 *     idle ─▶ dialling ─▶ serving ─▶ waiting ─▶ dialling …      a lost connection, a refusal, a failed attempt
 *                 ▲          ├─────▶ dialling                   the client certificate was renewed
 *                 └──────────┘
 *             serving ─▶ waiting                            the control plane is being restarted; the connection stays
 *     any ─▶ draining ─▶ idle                                   the agent closes
 */
import type { ServerHttp2Session } from "node:http2";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { HEADER } from "../../wire/protocol.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { refusalCode } from "../../wire/session/goaway.ts";
import { VERSION } from "../../wire/version.ts";
import { CarrierChooser } from "../carriers/auto.ts";
import type { Established } from "../carriers/auto.ts";
import type { AgentConfig } from "../config.ts";
import { STABLE_AFTER_MS } from "../limits.ts";
import { sleep } from "../sleep.ts";
import { readSecret } from "../transport/credentials.ts";
import { endpointUrl, redactUrl, socketPathOf, zoneOf } from "../transport/server-url.ts";
import { FailureLog } from "./failure-log.ts";
import { OpenConnections } from "./open-connections.ts";
import { ReconnectDelay, retryAfterMs } from "./reconnect-delay.ts";
import type { StandBy } from "./stand-by.ts";
import { TunnelConnection } from "./tunnel-connection.ts";
import type { ConnectionEnd } from "./tunnel-connection.ts";

/** A connection that has been established. */
export interface Connected {
  readonly http2Session: ServerHttp2Session;
  readonly carrier: Carrier;
  /** To be called when the control plane has requested `/hello`. */
  onHello(this: void): void;
  /** To be called when another process of the control plane listens at the same address. */
  onRestart(this: void, reconnectSpreadMs: number | undefined): void;
}

/** What the slots of an agent share. */
export interface SlotContext {
  readonly config: AgentConfig;
  readonly standBy: StandBy;
  /** Spread that the control plane last requested of its agents; undefined if it has not. Milliseconds. */
  readonly reconnectSpreadMs: number | undefined;
  /** Runners named in the endpoint's URL, so that a refusal comes as an HTTP status. */
  endpointRunnerIds(): readonly string[];
  /** Serves the streams of a connection. */
  serve(connected: Connected): void;
  connectionsChanged(delta: 1 | -1): void;
  connectFailed(error: Error): void;
  established(kind: Carrier["kind"]): void;
  /** The control plane has registered the agent, by one of its connections. */
  registered(): void;
  roundTrip(this: void, ms: number): void;
}

type SlotState =
  | { kind: "idle" }
  | { kind: "dialling" }
  | { kind: "serving"; connection: TunnelConnection; sinceMs: number }
  | { kind: "waiting"; delayMs: number; skip: AbortController }
  /** The agent closes: the connection ends with its last stream. */
  | { kind: "draining"; connection: TunnelConnection };

/** Ends after which the connection takes no new streams. */
type FinalEnd = Exclude<ConnectionEnd, { reason: "certificate-renewed" | "restarting" }>;

const REFUSED: ReadonlySet<string> = new Set([
  "unauthenticated",
  "not_allowed",
  "runner_taken",
  "rate_limited", // too many invalid tokens from this address
  "bad_request",
  "tls_required",
  "relay_loop",
]);

export class ConnectionSlot {
  readonly #index: number;
  readonly #context: SlotContext;
  readonly #chooser: CarrierChooser;
  readonly #connections: OpenConnections;
  readonly #delay: ReconnectDelay;
  readonly #failures: FailureLog;
  readonly #closing = new AbortController();
  #state: SlotState = { kind: "idle" };

  constructor(index: number, context: SlotContext) {
    const { config } = context;
    this.#index = index;
    this.#context = context;
    this.#chooser = new CarrierChooser(config.carrier, config.attemptTimeoutMs);
    this.#connections = new OpenConnections((delta) => context.connectionsChanged(delta));
    this.#delay = new ReconnectDelay(config);
    this.#failures = new FailureLog(config.log);
  }

  get connections(): Pick<OpenConnections, "all" | "transferredBytes"> {
    return this.#connections;
  }

  /** Resolves when the agent has closed and its last connection too. */
  async run(): Promise<void> {
    this.#state = { kind: "dialling" };
    while (this.#state.kind !== "idle") {
      this.#state = await this.#next(this.#state).catch((error: unknown) => this.#fail(toError(error)));
    }
  }

  /** Waits for the end of a state, and returns the next one. */
  async #next(state: SlotState): Promise<SlotState> {
    switch (state.kind) {
      case "idle":
        return state;
      case "dialling":
        return this.#dial();
      case "serving":
        return this.#serve(state.connection, state.sinceMs);
      case "waiting":
        if (!this.#isClosing) await sleep(state.delayMs, state.skip.signal);
        return { kind: "dialling" };
      case "draining":
        await state.connection.closed;
        return { kind: "idle" };
    }
  }

  /** dialling → serving. A failed attempt rejects. */
  async #dial(): Promise<SlotState> {
    if (this.#isClosing) return { kind: "idle" };
    let connection: TunnelConnection | undefined;
    const { carrier, why } = await this.#establish((http2Session, carrier) => {
      const accepted = new TunnelConnection(http2Session, carrier, this.#connections.retireOutdated);
      connection = accepted;
      this.#context.serve({
        http2Session,
        carrier,
        onHello: () => accepted.helloServed(),
        onRestart: (spreadMs) => accepted.restarting(spreadMs),
      });
    });
    if (connection === undefined) throw new Error("the carrier has no tunnel connection"); // never: it was accepted above
    this.#context.established(carrier.kind);
    this.#connections.add(connection);
    connection.watch({ ...this.#context.config, onRoundTrip: this.#context.roundTrip });
    this.#connections.retireOutdated();
    if (this.#isClosing) connection.http2Session.close();
    this.#connections.limit();
    void connection.registered.then(() => {
      this.#reportConnected(carrier.kind, why);
      this.#context.registered();
    });
    return { kind: "serving", connection, sinceMs: Date.now() };
  }

  async #establish(
    accept: (http2Session: ServerHttp2Session, carrier: Carrier) => void,
  ): Promise<Established> {
    const { config, standBy } = this.#context;
    const token = config.token === undefined ? undefined : await readSecret(config.token, "token");
    return this.#chooser.establish(
      {
        url: endpointUrl(config.server, this.#context.endpointRunnerIds()),
        zone: zoneOf(config.server),
        socketPath: socketPathOf(config.server),
        tls: config,
        token,
        headers: {
          [HEADER.version]: VERSION,
          [HEADER.instance]: config.processId,
          ...standBy.requestFields(),
        },
      },
      accept,
      this.#closing.signal,
    );
  }

  #reportConnected(carrier: Carrier["kind"], why: string): void {
    const { config } = this.#context;
    this.#failures.reset();
    config.log.info({ slot: this.#index, carrier, server: redactUrl(config.server), why }, "connected");
    config.onEvent({ type: "connected", slot: this.#index, carrier, why });
  }

  /** serving → waiting or dialling; draining if the agent closes. */
  async #serve(connection: TunnelConnection, sinceMs: number): Promise<SlotState> {
    const { log } = this.#context.config;
    const end = await connection.ended;
    const aliveMs = Date.now() - sinceMs;
    if (connection.isIdentified && aliveMs >= STABLE_AFTER_MS) this.#delay.reset();
    if (this.#isClosing) return { kind: "draining", connection };
    if (end.reason === "restarting") {
      const delayMs = this.#delay.afterAnnouncement(end.reconnectSpreadMs);
      log.info({ slot: this.#index, delayMs }, "the control plane restarts; connecting to its new process");
      return waiting(delayMs);
    }
    if (end.reason !== "certificate-renewed") return this.#reconnect(end, aliveMs);
    connection.markOutdated();
    log.info({ slot: this.#index }, "connecting with the renewed certificate; open streams continue");
    return { kind: "dialling" };
  }

  /** serving → waiting, for as long as the end of the connection calls for. */
  #reconnect(end: FinalEnd, aliveMs: number): SlotState {
    const { config, standBy, reconnectSpreadMs } = this.#context;
    const slot = this.#index;
    const reason = end.reason === "lost" ? "the connection was lost" : `${end.reason}: ${end.message}`;
    config.onEvent({ type: "lost", slot, reason });
    switch (end.reason) {
      case "replaced": {
        standBy.begin();
        config.onEvent({ type: "replaced", slot });
        const delayMs = this.#delay.afterReplacement(standBy.connectDelayMs());
        config.log.warn({ slot, reason, delayMs }, "replaced by a newer agent; standing by");
        return waiting(delayMs);
      }
      case "refused":
        return this.#fail(new TurnaboutError(refusalCode(end.message), reason));
      case "kicked": {
        const delayMs = this.#delay.afterRefusal();
        config.log.warn({ slot, reason, delayMs }, "kicked; reconnecting");
        return waiting(delayMs);
      }
      case "draining": {
        const { reconnectSpreadMs: spreadMs } = end;
        const delayMs =
          spreadMs === undefined
            ? this.#delay.afterLoss(reconnectSpreadMs)
            : this.#delay.afterAnnouncement(spreadMs);
        const fields = { slot, reason, aliveMs, delayMs };
        config.log.warn(fields, "the control plane is draining this connection; reconnecting");
        return waiting(delayMs);
      }
      case "lost": {
        const delayMs = this.#delay.afterLoss(reconnectSpreadMs);
        config.log.warn({ slot, reason, aliveMs, delayMs }, "connection ended; reconnecting");
        return waiting(delayMs);
      }
    }
  }

  /** dialling → waiting, after an attempt that failed or was refused. */
  #fail(error: Error): SlotState {
    if (this.#isClosing) return { kind: "idle" };
    const { config, standBy, reconnectSpreadMs } = this.#context;
    const isRefused = error instanceof TurnaboutError && REFUSED.has(error.code);
    const delayMs = standBy.isRefused(error)
      ? standBy.retryDelayMs()
      : Math.max(
          isRefused ? this.#delay.afterRefusal() : this.#delay.afterFailure(reconnectSpreadMs),
          retryAfterMs(error),
        );
    this.#context.connectFailed(error);
    this.#failures.report(error, isRefused, {
      slot: this.#index,
      server: redactUrl(config.server),
      reason: error.message,
      delayMs,
    });
    config.onEvent({ type: "attempt-failed", slot: this.#index, error, retryInMs: delayMs });
    return waiting(delayMs);
  }

  /**
   * The file of the client certificate holds this one now. A connection that was made with another one serves until the
   * next one does, and until its last stream has closed.
   */
  certificateRenewed(fingerprint: string): void {
    const state = this.#state;
    if (state.kind === "waiting") state.skip.abort();
    if (state.kind !== "serving") return;
    const { certificate } = state.connection;
    if (certificate !== undefined && certificate !== fingerprint) state.connection.certificateRenewed();
  }

  /** any → draining or idle: asks the control plane to open no more streams; the open ones may finish. */
  drain(): void {
    this.#closing.abort(new TurnaboutError("agent_draining", "the agent is shutting down"));
    if (this.#state.kind === "waiting") this.#state.skip.abort();
    this.#connections.drain("the agent is shutting down");
  }

  /** Ends all connections at once. */
  destroy(): void {
    this.#connections.destroy();
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }
}

function waiting(delayMs: number): SlotState {
  return { kind: "waiting", delayMs, skip: new AbortController() };
}
