/**
 * Turns of the event loop, shared out among callers' connections. What one connection brings in one turn beyond its share
 * waits, and waiting connections take turns: a write with a thousand requests delays the others by a few requests.
 */
import { TURN_BUDGET_MS, TURN_REQUESTS_PER_CONNECTION } from "./limits.ts";

type Job = () => void;

export class Turns {
  /** How many jobs each connection has had in this turn. */
  readonly #used = new Map<object, number>();
  /** Waiting jobs of each connection, in order; the connections in the order of their next job. */
  readonly #waiting = new Map<object, Job[]>();
  #isScheduled = false;
  #endsAt = 0;

  /** Runs `job` now, or after the connection's earlier jobs if it has had its share of this turn. Jobs must not throw. */
  run(connection: object, job: Job): void {
    const used = this.#used.get(connection) ?? 0;
    if (used >= TURN_REQUESTS_PER_CONNECTION || this.#waiting.has(connection)) {
      return this.later(connection, job);
    }
    this.#used.set(connection, used + 1);
    this.#schedule();
    job();
  }

  /** Runs `job` in a later turn. */
  later(connection: object, job: Job): void {
    const jobs = this.#waiting.get(connection);
    if (jobs === undefined) this.#waiting.set(connection, [job]);
    else jobs.push(job);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    this.#used.clear();
    this.#endsAt = performance.now() + TURN_BUDGET_MS;
    this.#next();
  };

  /** Runs the next job, and then, after what it has put off to the next tick, the one after it. */
  readonly #next = (): void => {
    const [next] = this.#waiting;
    if (next === undefined) return;
    if (performance.now() >= this.#endsAt) return this.#schedule();
    const [connection, jobs] = next;
    const job = jobs.shift();
    // To the end of the map, if it has more.
    this.#waiting.delete(connection);
    if (jobs.length > 0) this.#waiting.set(connection, jobs);
    process.nextTick(this.#next);
    job?.();
  };
}
