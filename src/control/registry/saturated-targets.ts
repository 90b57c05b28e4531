/**
 * Targets of one runner with as many open streams as may be released to them, or callers that have their share of one. A
 * dial waits for such a target as long as its streams keep ending. Where they stay open, waiting does not help: the agent's
 * own limit then decides, or the dial is refused.
 */
import { SATURATED_STALL_MS } from "../limits.ts";
import { MAX_EXHAUSTED_SHARES } from "../shares/limits.ts";

export class SaturatedTargets {
  /** By target; only those that had no room at the last check. */
  readonly #full = new Map<string, { sinceMs: number; checkedMs: number }>();

  /** Records whether the target has room. True if it has had none for {@link SATURATED_STALL_MS}. */
  isStalled(target: string, hasRoom: boolean, nowMs: number = performance.now()): boolean {
    const full = this.#full.get(target);
    if (hasRoom) {
      this.#full.delete(target);
      return false;
    }
    if (full === undefined || nowMs - full.checkedMs >= SATURATED_STALL_MS) {
      this.#full.delete(target);
      this.#full.set(target, { sinceMs: nowMs, checkedMs: nowMs });
      const [oldest = target] = this.#full.keys();
      if (this.#full.size > MAX_EXHAUSTED_SHARES) this.#full.delete(oldest);
      return false;
    }
    full.checkedMs = nowMs;
    return nowMs - full.sinceMs >= SATURATED_STALL_MS;
  }
}
