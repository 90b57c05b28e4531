/** Exponential backoff with full jitter: after a restart of the control plane the agents must not all return at one instant. */
export interface BackoffOptions {
  baseMs: number;
  capMs: number;
  /** 0 ≤ r < 1. Default `Math.random`. */
  random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  get failures(): number {
    return this.#failures;
  }

  /**
   * Milliseconds to wait before the next attempt: uniform in [0, min(cap, base · 2^failures)).
   *
   * @param capMs default: the option
   * @param floorMs shortest span
   */
  next(capMs: number = this.#options.capMs, floorMs = 0): number {
    const { baseMs, random = Math.random } = this.#options;
    const spanMs = Math.min(capMs, Math.max(floorMs, baseMs * 2 ** Math.min(this.#failures, 30)));
    this.#failures += 1;
    return Math.floor(random() * spanMs);
  }

  reset(): void {
    this.#failures = 0;
  }
}
