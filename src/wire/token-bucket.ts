/** A budget that refills with time: a burst passes at once, and what is sustained is limited to a rate. */

export interface TokenBucketOptions {
  /** How much may be taken at once. */
  burst: number;
  /** Refill, per second. */
  perS: number;
}

export class TokenBucket {
  readonly #burst: number;
  readonly #perMs: number;
  #level: number;
  #updatedAtMs: number;

  constructor({ burst, perS }: TokenBucketOptions) {
    this.#burst = burst;
    this.#perMs = perS / 1_000;
    this.#level = burst;
    this.#updatedAtMs = performance.now();
  }

  /** Takes `amount` if it is there; false if not. */
  take(amount = 1): boolean {
    this.#refill();
    if (this.#level < amount) return false;
    this.#level -= amount;
    return true;
  }

  /** Takes for what has happened already, also below zero; at most a whole burst below, so that every debt ends. */
  spend(amount: number): void {
    this.#refill();
    this.#level = Math.max(this.#level - amount, -this.#burst);
  }

  /** Milliseconds until `amount` can be taken; 0 if it can be now. */
  waitMs(amount = 1): number {
    this.#refill();
    return Math.max(0, Math.ceil((Math.min(amount, this.#burst) - this.#level) / this.#perMs));
  }

  /** Nothing was taken for as long as a refill takes. */
  get isFull(): boolean {
    this.#refill();
    return this.#level >= this.#burst;
  }

  #refill(): void {
    const now = performance.now();
    this.#level = Math.min(this.#burst, this.#level + (now - this.#updatedAtMs) * this.#perMs);
    this.#updatedAtMs = now;
  }
}
