/** Runs a limited number of tasks at once. A limited number more wait in order; any further one is refused. */
import { Failure } from "./errors.ts";

export class Semaphore {
  readonly #what: string;
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** @param what for the refusal: `Too many uploads` */
  constructor(what: string, maxRunning: number, maxWaiting: number) {
    this.#what = what;
    this.#maxRunning = maxRunning;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws Failure 503 if too many wait already */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#maxRunning) this.#running += 1;
    else {
      if (this.#waiting.length >= this.#maxWaiting) throw new Failure(503, `Too many ${this.#what}`);
      // A task that ends hands its place over, so that no newcomer overtakes those who wait.
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
