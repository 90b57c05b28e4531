/**
 * Turns of the event loop, shared out among credentials: new requests to targets begin in the turn in which they come, as long as
 * that is short. Further ones wait, and the credentials take turns. Where only one is active it gets everything.
 *
 * Node accepts one connection in each turn, so behind many new connections another one waits as many turns: as long as
 * connections come, turns are kept very short.
 */
import { ARRIVAL_TURN_MS, EXCHANGES_TURN_MS } from "./limits.ts";

/** Something that begins when its turn has come. */
export interface Job {
  /** Must not throw. */
  begin(): void;
}

interface Lane {
  readonly holder: string;
  /** Waiting, in order. Their number is bounded by the holder's open streams. */
  readonly jobs: Job[];
}

export class ExchangeTurns {
  /** Of holders with waiting jobs. */
  readonly #lanes = new Map<string, Lane>();
  /** The same, in the order of their next job. */
  readonly #order: Lane[] = [];
  #turn = 0;
  /** Of the last turn with a new connection. */
  #arrivalTurn = -2;
  #isScheduled = false;
  /** When this turn has begun its first job; 0: it has not. */
  #sinceMs = 0;

  /** Begins `job` now or in a later turn. */
  run(holder: string, job: Job): void {
    this.#schedule();
    const lane = this.#lanes.get(holder);
    if (lane !== undefined) lane.jobs.push(job);
    else if (this.#hasTime()) job.begin();
    else this.#add({ holder, jobs: [job] });
  }

  /** A connection has been accepted, and further ones may wait behind it. */
  arrived(): void {
    this.#arrivalTurn = this.#turn;
    this.#schedule();
  }

  #add(lane: Lane): void {
    this.#lanes.set(lane.holder, lane);
    this.#order.push(lane);
  }

  /** The first job of a turn always has. */
  #hasTime(): boolean {
    const nowMs = performance.now();
    if (this.#sinceMs === 0) {
      this.#sinceMs = nowMs;
      return true;
    }
    const isArriving = this.#turn - this.#arrivalTurn <= 1;
    return nowMs - this.#sinceMs < (isArriving ? ARRIVAL_TURN_MS : EXCHANGES_TURN_MS);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#begin);
  }

  readonly #begin = (): void => {
    this.#isScheduled = false;
    this.#turn += 1;
    this.#sinceMs = 0;
    this.#next();
  };

  /** Begins the next job, and then, after all that it has put off within this turn, the one after it. */
  readonly #next = (): void => {
    if (this.#order.length === 0) return;
    if (!this.#hasTime()) return this.#schedule();
    const lane = this.#order.shift();
    const job = lane?.jobs.shift();
    if (lane !== undefined && lane.jobs.length > 0) this.#order.push(lane);
    else if (lane !== undefined) this.#lanes.delete(lane.holder);
    job?.begin();
    queueMicrotask(this.#afterMicrotasks);
  };

  readonly #afterMicrotasks = (): void => process.nextTick(this.#next);
}
