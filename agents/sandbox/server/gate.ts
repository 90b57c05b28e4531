/** At most so many at once; a bounded number waits in order, and the rest is refused. */
import { Failure } from "./errors.ts";

export class Gate {
  readonly #what: string;
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** @param what for the refusal: `Too many uploads` */
  constructor(what: string, atOnce: number, maxWaiting: number) {
    this.#what = what;
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws Failure 503 when too many wait already */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running += 1;
    else {
      if (this.#waiting.length >= this.#maxWaiting) throw new Failure(503, `Too many ${this.#what}`);
      // Whoever ends hands its place over, so nobody can slip in between.
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
