/** Simulated time: what happens at which moment, in a repeatable order. Hours of it pass in milliseconds. */

interface Moment {
  at: number;
  run: () => void;
}

export class Timeline {
  #now = 0;
  #sequence = 0;
  /** Sorted by time, then by the order in which they were added; the next is last. */
  readonly #moments: (Moment & { sequence: number })[] = [];

  get now(): number {
    return this.#now;
  }

  /** Returns a function that cancels it. */
  at(at: number, run: () => void): () => void {
    const moment = { at: Math.max(at, this.#now), run, sequence: (this.#sequence += 1) };
    let [low, high] = [0, this.#moments.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#moments[middle];
      if (other !== undefined && other.at > moment.at) low = middle + 1;
      else high = middle;
    }
    this.#moments.splice(low, 0, moment);
    return () => {
      moment.run = () => {};
    };
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.#now + delayMs, run);
  }

  /** Lets time pass. Promises settle between two moments. */
  async pass(durationMs: number): Promise<void> {
    const end = this.#now + durationMs;
    await settled();
    for (let next = this.#moments.at(-1); next !== undefined && next.at <= end; next = this.#moments.at(-1)) {
      this.#moments.pop();
      this.#now = next.at;
      next.run();
      await settled();
    }
    this.#now = end;
  }
}

/** Everything that follows without a timer has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A small generator, so that a failing run can be repeated with its seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
