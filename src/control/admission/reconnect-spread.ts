/**
 * Time over which the agents are to spread their reconnects after a restart of the control plane. Only the control plane
 * knows their number, and it cannot send it after a crash: each agent gets the time when it connects, and again when it has
 * changed considerably.
 */
import type { Logger } from "../../wire/log.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import {
  MAX_CHANGING_TICKS,
  MAX_SPREAD_MS,
  RECONNECTS_PER_MS,
  SPREAD_NOTICES_AT_ONCE,
  SPREAD_NOTICE_INTERVAL_MS,
  SPREAD_TOLERANCE_MS,
  STEADY_SPREAD_DIVISOR,
} from "../limits.ts";
import { sendNotices } from "./agent-notices.ts";

export class ReconnectSpread {
  readonly #openConnections: ReadonlySet<AgentConnection>;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #lastMs = 0;
  /** Ticks for which it has changed. */
  #changingTicks = 0;

  constructor(openConnections: ReadonlySet<AgentConnection>, log: Logger) {
    this.#openConnections = openConnections;
    this.#log = log;
    this.#timer = setInterval(() => this.#notify(), SPREAD_NOTICE_INTERVAL_MS);
    this.#timer.unref();
  }

  /** In milliseconds, for the present number of connections. */
  get ms(): number {
    return Math.min(MAX_SPREAD_MS, Math.ceil(this.#openConnections.size / RECONNECTS_PER_MS));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #notify(): void {
    const { ms } = this;
    if (this.#isChanging(ms)) return;
    let left = SPREAD_NOTICES_AT_ONCE;
    for (const connection of this.#openConnections) {
      if (!differs(connection.reconnectSpreadMs, ms)) continue;
      connection.reconnectSpreadMs = ms;
      sendNotices(connection, { reconnectSpreadMs: ms }, this.#log);
      left -= 1;
      if (left === 0) return; // the others at the next tick
    }
  }

  /** While thousands of agents return, a notice to each that is here already would be out of date a moment later. */
  #isChanging(ms: number): boolean {
    const isSteady = Math.abs(ms - this.#lastMs) * STEADY_SPREAD_DIVISOR <= ms;
    this.#lastMs = ms;
    this.#changingTicks = isSteady ? 0 : this.#changingTicks + 1;
    return !isSteady && this.#changingTicks <= MAX_CHANGING_TICKS;
  }
}

function differs(sent: number, now: number): boolean {
  const [less, more] = sent < now ? [sent, now] : [now, sent];
  return more - less >= SPREAD_TOLERANCE_MS && more >= 2 * less;
}
