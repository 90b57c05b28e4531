/**
 * Turns of the event loop, shared out among credentials: new requests to targets begin in the turn in which they come, as long as
 * that is short. Further ones wait, and the credentials take turns. Where only one is active it gets everything.
 *
 * Node accepts one connection in each turn, so behind many new connections another one waits as many turns: as long as
 * connections come, turns are kept very short, and requests begin in few of them.
 *
 * What moves much data makes turns long that come later. A credential with many exchanges that have just begun to do so begins one in each turn, and
 * fewer while connections come: where turns are short this is no limit.
 */
import {
  ARRIVAL_TURN_MS,
  ARRIVAL_TURNS,
  BULK_ARRIVAL_TURNS,
  BULK_EXCHANGES_AT_ONCE,
  BULK_MS,
  EXCHANGES_TURN_MS,
  MAX_BULK_HOLDERS,
} from "./limits.ts";
import { TurnLoop } from "./turn-loop.ts";
import type { Job, Lane } from "./turn-loop.ts";

interface HolderLane extends Lane {
  readonly holder: string;
}

/** A holder's exchanges that have begun to move much data. */
interface Bulk {
  /** When the latest began to, on the clock of `performance.now()`: at most {@link BULK_EXCHANGES_AT_ONCE}. */
  readonly sinceMs: number[];
  /** In which it has begun an exchange, when there were many. */
  turn: number;
}

export class ExchangeTurns {
  /** Of holders with waiting jobs, whose number is bounded by the holder's open streams. */
  readonly #lanes = new Map<string, HolderLane>();
  readonly #loop: TurnLoop<HolderLane>;
  readonly #bulk = new Map<string, Bulk>();
  /** Of the last turn with a new connection. */
  #arrivalTurn = -2;

  constructor() {
    this.#loop = new TurnLoop({
      budgetMs: () => (this.#isArriving ? ARRIVAL_TURN_MS : EXCHANGES_TURN_MS),
      rests: () => this.#isArriving && this.#loop.turn % ARRIVAL_TURNS !== 0,
      takes: ({ holder }) => this.#takes(holder),
      onEmpty: ({ holder }) => this.#lanes.delete(holder),
    });
  }

  /** Begins `job` now or in a later turn. */
  run(holder: string, job: Job): void {
    let lane = this.#lanes.get(holder);
    if (lane === undefined) {
      this.#loop.follow();
      if (this.#loop.hasTime() && this.#takes(holder)) return job.begin();
      lane = { holder, jobs: [] };
      this.#lanes.set(holder, lane);
    }
    this.#loop.add(lane, job);
  }

  /** A connection has been accepted, and further ones may wait behind it. */
  arrived(): void {
    this.#arrivalTurn = this.#loop.turn;
    this.#loop.follow();
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

  get #isArriving(): boolean {
    return this.#loop.turn - this.#arrivalTurn <= 1;
  }

  /** Whether it may begin one more in this turn, which is counted. */
  #takes(holder: string): boolean {
    const bulk = this.#bulk.get(holder);
    const [sinceMs = 0] = bulk?.sinceMs ?? [];
    if (bulk === undefined || bulk.sinceMs.length < BULK_EXCHANGES_AT_ONCE) return true;
    if (performance.now() - sinceMs > BULK_MS) return true;
    if (this.#loop.turn - bulk.turn < (this.#isArriving ? BULK_ARRIVAL_TURNS : 1)) return false;
    bulk.turn = this.#loop.turn;
    return true;
  }
}
