/** How long a slot waits before it dials again, by how its last connection or attempt ended. */
import { TurnaboutError } from "../../wire/errors.ts";
import { Backoff } from "../backoff.ts";
import {
  BACKOFF_BASE_MS,
  BACKOFF_CAP_FLOOR_MS,
  BACKOFF_CAP_MS,
  REFUSED_BACKOFF_BASE_MS,
  REFUSED_BACKOFF_CAP_MS,
  RESTART_BACKOFF_CAP_MS,
  RESTART_MS,
} from "../limits.ts";

export interface ReconnectDelayOptions {
  /** Default {@link BACKOFF_BASE_MS}. */
  backoffBaseMs?: number | undefined;
  /** Default {@link BACKOFF_CAP_MS}; at least {@link BACKOFF_CAP_FLOOR_MS}. */
  backoffCapMs?: number | undefined;
}

/** All results are milliseconds. */
export class ReconnectDelay {
  readonly #backoff: Backoff;
  readonly #refusedBackoff = new Backoff({ baseMs: REFUSED_BACKOFF_BASE_MS, capMs: REFUSED_BACKOFF_CAP_MS });
  readonly #capMs: number;
  /** When a connection last ended, in Unix milliseconds. */
  #lostAtMs = 0;

  constructor({ backoffBaseMs, backoffCapMs }: ReconnectDelayOptions) {
    this.#capMs = backoffCapMs ?? BACKOFF_CAP_MS;
    this.#backoff = new Backoff({
      baseMs: backoffBaseMs ?? BACKOFF_BASE_MS,
      capMs: Math.max(this.#capMs, BACKOFF_CAP_FLOOR_MS),
    });
  }

  /** After a connection that lived long enough: the next failure starts from the first delay. */
  reset(): void {
    this.#backoff.reset();
    this.#refusedBackoff.reset();
  }

  /**
   * After a connection that was lost or drained. A control plane that drains knows how many agents it sends away, and
   * names a spread for them: with few of them they may come back at once. Otherwise it may be restarting, or flapping.
   *
   * @param drainSpreadMs the spread in its GOAWAY
   * @param agentsSpreadMs the spread that it last requested of all its agents
   */
  afterLoss(drainSpreadMs: number | undefined, agentsSpreadMs: number | undefined): number {
    this.#lostAtMs = Date.now();
    const isFirst = this.#backoff.failures === 0;
    const delayMs = this.afterFailure(agentsSpreadMs);
    if (!isFirst || drainSpreadMs === undefined) return delayMs;
    return Math.floor(Math.random() * drainSpreadMs);
  }

  /**
   * After an attempt that failed. Soon after a loss the control plane is most likely restarting: then a failed attempt
   * must not delay the next one by more than the time in which all agents are to be back.
   */
  afterFailure(agentsSpreadMs: number | undefined): number {
    if (agentsSpreadMs === undefined || Date.now() - this.#lostAtMs > RESTART_MS) return this.#backoff.next();
    const capMs = Math.min(this.#capMs, RESTART_BACKOFF_CAP_MS);
    return this.#backoff.next(Math.max(capMs, BACKOFF_CAP_FLOOR_MS, agentsSpreadMs), agentsSpreadMs);
  }

  /** After a refusal that only an operator's action can end, and after an operator has ended the connection. */
  afterRefusal(): number {
    return this.#refusedBackoff.next();
  }
}

/** A full relay says when to retry (`Retry-After`). Doubled at random, so that the agents it refused do not return together. */
export function retryAfterMs(error: Error): number {
  if (!(error instanceof TurnaboutError) || error.code !== "relay_full") return 0;
  const waitMs = Math.min((error.retryAfterS ?? 0) * 1_000, REFUSED_BACKOFF_CAP_MS);
  return Math.round(waitMs * (1 + Math.random()));
}
