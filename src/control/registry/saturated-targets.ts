/**
 * Targets with as many streams as are let go to them. Such a target is waited for while streams of it keep ending; where
 * they stay open, waiting is in vain, and the agent's own count decides.
 */
import { CROWD_STALL_MS } from "../limits.ts";

export class SaturatedTargets {
  /** By target; only those that had no room when they were looked at last. */
  readonly #full = new Map<string, { sinceMs: number; seenMs: number }>();

  /** True if the target has had no room for {@link CROWD_STALL_MS}. */
  look(target: string, hasRoom: boolean, nowMs: number = performance.now()): boolean {
    const full = this.#full.get(target);
    if (hasRoom) {
      this.#full.delete(target);
      return false;
    }
    if (full === undefined || nowMs - full.seenMs >= CROWD_STALL_MS) {
      this.#full.set(target, { sinceMs: nowMs, seenMs: nowMs });
      return false;
    }
    full.seenMs = nowMs;
    return nowMs - full.sinceMs >= CROWD_STALL_MS;
  }
}
