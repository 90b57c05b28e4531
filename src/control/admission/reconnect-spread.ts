/**
 * Over which time this control plane's agents are to come back after a restart. It alone knows how many they are, and after
 * a crash it cannot say it any more: each agent is told when it connects, and again when the number has changed much.
 */
import type { Logger } from "../../wire/log.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import {
  MAX_SPREAD_MS,
  RECONNECTS_PER_MS,
  SPREAD_NOTICES_AT_ONCE,
  SPREAD_TELL_MS,
  SPREAD_TOLERANCE_MS,
} from "../limits.ts";
import { notify } from "./refused-runners.ts";

export class ReconnectSpread {
  readonly #opened: ReadonlySet<AgentConnection>;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;

  constructor(opened: ReadonlySet<AgentConnection>, log: Logger) {
    this.#opened = opened;
    this.#log = log;
    this.#timer = setInterval(() => this.#tell(), SPREAD_TELL_MS);
    this.#timer.unref();
  }

  /** In milliseconds, for the connections that there are now. */
  get ms(): number {
    return Math.min(MAX_SPREAD_MS, Math.ceil(this.#opened.size / RECONNECTS_PER_MS));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const { ms } = this;
    let left = SPREAD_NOTICES_AT_ONCE;
    for (const connection of this.#opened) {
      if (!differs(connection.reconnectSpreadMs, ms)) continue;
      connection.reconnectSpreadMs = ms;
      notify(connection, { reconnectSpreadMs: ms }, this.#log);
      left -= 1;
      if (left === 0) return; // the others at the next tick
    }
  }
}

function differs(told: number, now: number): boolean {
  const [less, more] = told < now ? [told, now] : [now, told];
  return more - less >= SPREAD_TOLERANCE_MS && more >= 2 * less;
}
