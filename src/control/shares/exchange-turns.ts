/**
 * Turns of the event loop, shared out among credentials: new requests to targets begin in the turn in which they come, as long as
 * that is short. Further ones wait, and the credentials take turns. Where only one is active it gets everything.
 *
 * Node accepts one connection in each turn, so behind many new connections another one waits as many turns: as long as
 * connections come, turns are kept very short.
 *
 * What moves much data makes turns long that come later. A credential with many exchanges that have just begun to do so begins one in each turn, and
 * fewer while connections come: where turns are short this is no limit.
 */
import {
  ARRIVAL_TURN_MS,
  BULK_ARRIVAL_TURNS,
  BULK_EXCHANGES_AT_ONCE,
  BULK_MS,
  EXCHANGES_TURN_MS,
  MAX_BULK_HOLDERS,
} from "./limits.ts";

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

/** A holder's exchanges that have begun to move much data. */
interface Bulk {
  /** When the latest began to, on the clock of `performance.now()`: at most {@link BULK_EXCHANGES_AT_ONCE}. */
  readonly sinceMs: number[];
  /** In which it has begun an exchange, when there were many. */
  turn: number;
}

export class ExchangeTurns {
  /** Of holders with waiting jobs. */
  readonly #lanes = new Map<string, Lane>();
  /** The same, in the order of their next job. */
  readonly #order: Lane[] = [];
  /** Those that may not begin any more in this turn. */
  readonly #held: Lane[] = [];
  readonly #bulk = new Map<string, Bulk>();
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
    else if (this.#hasTime() && this.#takes(holder)) job.begin();
    else this.#add({ holder, jobs: [job] });
  }

  /** A connection has been accepted, and further ones may wait behind it. */
  arrived(): void {
    this.#arrivalTurn = this.#turn;
    this.#schedule();
  }

  /** Resolves when the turn of a dial of this holder has come. */
  turn(holder: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.run(holder, { begin: resolve });
    return promise;
  }

  /** One of its exchanges has begun to move much data. */
  countBulk(holder: string): void {
    let bulk = this.#bulk.get(holder);
    if (bulk === undefined) {
      bulk = { sinceMs: [], turn: -BULK_ARRIVAL_TURNS };
      this.#bulk.set(holder, bulk);
      for (const oldest of this.#bulk.keys())
        if (this.#bulk.size > MAX_BULK_HOLDERS) this.#bulk.delete(oldest);
    }
    bulk.sinceMs.push(performance.now());
    if (bulk.sinceMs.length > BULK_EXCHANGES_AT_ONCE) bulk.sinceMs.shift();
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
    return nowMs - this.#sinceMs < (this.#isArriving ? ARRIVAL_TURN_MS : EXCHANGES_TURN_MS);
  }

  get #isArriving(): boolean {
    return this.#turn - this.#arrivalTurn <= 1;
  }

  /** Whether it may begin one more in this turn, which is counted. */
  #takes(holder: string): boolean {
    const bulk = this.#bulk.get(holder);
    const [sinceMs = 0] = bulk?.sinceMs ?? [];
    if (bulk === undefined || bulk.sinceMs.length < BULK_EXCHANGES_AT_ONCE) return true;
    if (performance.now() - sinceMs > BULK_MS) return true;
    if (this.#turn - bulk.turn < (this.#isArriving ? BULK_ARRIVAL_TURNS : 1)) return false;
    bulk.turn = this.#turn;
    return true;
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
    this.#order.push(...this.#held.splice(0));
    this.#next();
  };

  /** Begins the next job, and then, after all that it has put off within this turn, the one after it. */
  readonly #next = (): void => {
    for (;;) {
      const isOver = this.#order.length > 0 ? !this.#hasTime() : this.#held.length > 0;
      if (isOver) return this.#schedule();
      const lane = this.#order.shift();
      if (lane === undefined) {
        this.#sinceMs = 0; // none waits: the next request has a turn of its own
        return;
      }
      if (this.#takes(lane.holder)) return this.#beginFirst(lane);
      this.#held.push(lane);
    }
  };

  #beginFirst(lane: Lane): void {
    const job = lane.jobs.shift();
    if (lane.jobs.length > 0) this.#order.push(lane);
    else this.#lanes.delete(lane.holder);
    job?.begin();
    queueMicrotask(this.#afterMicrotasks);
  }

  readonly #afterMicrotasks = (): void => process.nextTick(this.#next);
}
