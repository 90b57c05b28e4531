/**
 * Turns of the event loop, shared out among callers' connections. What one connection brings in one turn beyond its share
 * waits, and waiting connections take turns: a write with a thousand requests delays the others by a few requests.
 */
import { TURN_BUDGET_MS, TURN_REQUESTS_PER_CONNECTION } from "./limits.ts";

type Job = () => void;

/** What one connection has of the turns. */
interface Share {
  /** The turn to which `used` belongs. */
  turn: number;
  /** How many jobs it has had in that turn. */
  used: number;
  /** Waiting, in order. */
  readonly jobs: Job[];
}

export class Turns {
  readonly #shares = new WeakMap<object, Share>();
  /** Those with waiting jobs, in the order of their next job. */
  readonly #waiting: Share[] = [];
  #turn = 0;
  #isScheduled = false;
  #endsAt = 0;

  /** Runs `job` now, or after the connection's earlier jobs if it has had its share of this turn. Jobs must not throw. */
  run(connection: object, job: Job): void {
    const share = this.#shareOf(connection);
    if (share.turn !== this.#turn) {
      share.turn = this.#turn;
      share.used = 0;
    }
    if (share.used >= TURN_REQUESTS_PER_CONNECTION || share.jobs.length > 0) return this.#add(share, job);
    share.used += 1;
    this.#schedule();
    job();
  }

  /** Runs `job` in a later turn. */
  later(connection: object, job: Job): void {
    this.#add(this.#shareOf(connection), job);
  }

  #shareOf(connection: object): Share {
    const known = this.#shares.get(connection);
    if (known !== undefined) return known;
    const share: Share = { turn: this.#turn, used: 0, jobs: [] };
    this.#shares.set(connection, share);
    return share;
  }

  #add(share: Share, job: Job): void {
    if (share.jobs.push(job) === 1) this.#waiting.push(share);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#begin);
  }

  readonly #begin = (): void => {
    this.#isScheduled = false;
    this.#turn += 1;
    this.#endsAt = performance.now() + TURN_BUDGET_MS;
    this.#next();
  };

  /** Runs the next job, and then, after what it has put off to the next tick, the one after it. */
  readonly #next = (): void => {
    if (this.#waiting.length === 0) return;
    if (performance.now() >= this.#endsAt) return this.#schedule();
    const share = this.#waiting.shift();
    const job = share?.jobs.shift();
    if (share !== undefined && share.jobs.length > 0) this.#waiting.push(share);
    process.nextTick(this.#next);
    job?.();
  };
}
