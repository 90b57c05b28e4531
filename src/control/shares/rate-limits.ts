/** A rate for each client address or credential: a token bucket (RFC 2698's, with one rate). The number of holders is bounded. */
import { MAX_RATED_ADDRESSES } from "./limits.ts";

export interface Rate {
  perS: number;
  /** How many at once, after a pause. */
  burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class RateLimits {
  readonly #rate: Rate;
  /** The one not used for the longest comes first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes one, or an amount.
   *
   * @param amount at most the burst
   * @returns 0 if there was as much; otherwise the seconds until there is
   */
  take(holder: string, nowMs: number = performance.now(), amount = 1): number {
    const { perS, burst } = this.#rate;
    if (perS === Infinity) return 0;
    const known = this.#buckets.get(holder);
    const refilled = known === undefined ? burst : known.tokens + ((nowMs - known.atMs) / 1_000) * perS;
    const tokens = Math.min(burst, refilled);
    const isAllowed = tokens >= amount;
    this.#buckets.delete(holder);
    this.#buckets.set(holder, { tokens: isAllowed ? tokens - amount : tokens, atMs: nowMs });
    if (this.#buckets.size > MAX_RATED_ADDRESSES) this.#forgetOldest();
    return isAllowed ? 0 : Math.max(1, Math.ceil((amount - tokens) / perS));
  }

  #forgetOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
