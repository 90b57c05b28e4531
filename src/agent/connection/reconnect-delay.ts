/** How long a slot waits before it dials again, by how its last connection or attempt ended. */
import { TurnaboutError } from "../../wire/errors.ts";
import { Backoff } from "../backoff.ts";
import {
  ANNOUNCED_RESTART_MS,
  ANNOUNCED_RETRY_MAX_MS,
  ANNOUNCED_RETRY_MIN_MS,
  BACKOFF_BASE_MS,
  BACKOFF_CAP_FLOOR_MS,
  BACKOFF_CAP_MS,
  MAX_ANNOUNCEMENTS,
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
  /** When the control plane last announced its restart, over which spread, and how often since a stable connection. */
  #announcedAtMs = -Infinity;
  #announcedSpreadMs = 0;
  #announcements = 0;

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
    this.#announcements = 0;
  }

  /**
   * After the control plane has announced its restart, which it does for all its agents: it knows how many they are. With
   * few of them they may come back at once.
   *
   * @param spreadMs the time over which they are to come back
   */
  afterAnnouncement(spreadMs: number): number {
    this.#announcements += 1;
    // One that restarts again and again is treated as one that fails.
    if (this.#announcements > MAX_ANNOUNCEMENTS) return this.afterLoss(spreadMs);
    this.#lostAtMs = Date.now();
    this.#announcedAtMs = Date.now();
    this.#announcedSpreadMs = spreadMs;
    return Math.floor(Math.random() * spreadMs);
  }

  /**
   * After a connection that was lost without an announcement: the control plane may be restarting, or flapping.
   *
   * @param agentsSpreadMs the spread that it last asked all its agents for
   */
  afterLoss(agentsSpreadMs: number | undefined): number {
    this.#lostAtMs = Date.now();
    return this.#backOff(agentsSpreadMs);
  }

  /**
   * After an attempt that failed. Soon after an announcement the new process is about to listen, and an attempt that nobody
   * accepts costs little.
   */
  afterFailure(agentsSpreadMs: number | undefined): number {
    const delayMs = this.#backOff(agentsSpreadMs);
    if (Date.now() - this.#announcedAtMs > ANNOUNCED_RESTART_MS) return delayMs;
    const spanMs = Math.max(ANNOUNCED_RETRY_MAX_MS, this.#announcedSpreadMs) - ANNOUNCED_RETRY_MIN_MS;
    const retryMs = ANNOUNCED_RETRY_MIN_MS + Math.floor(Math.random() * spanMs);
    return Math.min(retryMs, Math.max(this.#capMs, BACKOFF_CAP_FLOOR_MS));
  }

  /**
   * Soon after a loss the control plane is most likely restarting: then a failed attempt must not delay the next one by
   * more than the time in which all agents are to be back.
   */
  #backOff(agentsSpreadMs: number | undefined): number {
    if (agentsSpreadMs === undefined || Date.now() - this.#lostAtMs > RESTART_MS) return this.#backoff.next();
    const capMs = Math.min(this.#capMs, RESTART_BACKOFF_CAP_MS);
    return this.#backoff.next(Math.max(capMs, BACKOFF_CAP_FLOOR_MS, agentsSpreadMs), agentsSpreadMs);
  }

  /**
   * After a newer agent has replaced this one. A control plane that replaces it again and again gets the backoff.
   *
   * @param firstMs the first time
   */
  afterReplacement(firstMs: number): number {
    const isFirst = this.#backoff.failures === 0;
    const delayMs = this.#backoff.next();
    return isFirst ? firstMs : Math.max(firstMs, delayMs);
  }

  /** After a refusal that only an operator's action can end, and after an operator has ended the connection. */
  afterRefusal(): number {
    return this.#refusedBackoff.next();
  }
}

/** Refusals whose `Retry-After` states how long the cause lasts. */
const TEMPORARY: ReadonlySet<string> = new Set(["relay_full", "rate_limited"]);

/**
 * A full relay, and a control plane to which this agent connects too often, state when to retry (`Retry-After`). Doubled at
 * random, so that the agents that were refused do not return together; at most twice {@link REFUSED_BACKOFF_CAP_MS}.
 */
export function retryAfterMs(error: Error): number {
  if (!(error instanceof TurnaboutError) || !TEMPORARY.has(error.code)) return 0;
  const waitMs = Math.min(Math.max(error.retryAfterS ?? 0, 0) * 1_000, REFUSED_BACKOFF_CAP_MS);
  return Math.round(waitMs * (1 + Math.random()));
}
