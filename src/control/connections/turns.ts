/**
 * Turns of the event loop, shared out among callers' connections. What one connection brings in one turn beyond its share
 * waits, and waiting connections take turns: a write with a thousand requests delays the others by a few requests.
 */
import { TurnLoop } from "../shares/turn-loop.ts";
import type { Lane } from "../shares/turn-loop.ts";
import { TURN_BUDGET_MS, TURN_INPUT_MS, TURN_INPUTS, TURN_REQUESTS_PER_CONNECTION } from "./limits.ts";

/** What one connection has of the turns. */
interface Share extends Lane {
  /** The turn to which `used` belongs. */
  turn: number;
  /** How many jobs it has had at once in that turn. */
  used: number;
}

export class Turns {
  readonly #shares = new WeakMap<object, Share>();
  readonly #loop = new TurnLoop<Share>({ budgetMs: () => TURN_BUDGET_MS });
  /** Connections whose input has been held back. */
  readonly #inputs = new TurnLoop<Lane>({ budgetMs: () => TURN_BUDGET_MS, takes: () => this.#takesInput() });
  /** The turn to which the next two belong. */
  #inputTurn = -1;
  #inputMs = 0;
  #resumed = 0;

  /** Runs `job` now, or after the connection's earlier jobs if it has had its share of this turn. Jobs must not throw. */
  run(connection: object, job: () => void): void {
    const share = this.#shareOf(connection);
    if (share.turn !== this.#loop.turn) {
      share.turn = this.#loop.turn;
      share.used = 0;
    }
    if (share.used >= TURN_REQUESTS_PER_CONNECTION || share.jobs.length > 0)
      return this.#loop.add(share, { begin: job });
    share.used += 1;
    this.#loop.follow();
    job();
  }

  /** Runs `job` in a later turn. */
  later(connection: object, job: () => void): void {
    this.#loop.add(this.#shareOf(connection), { begin: job });
  }

  /** Input of a connection has taken so long. @returns whether that of all connections has taken its time of this turn */
  spendInput(ms: number): boolean {
    this.#inputs.follow();
    this.#beginInputTurn();
    this.#inputMs += ms;
    return this.#inputMs > TURN_INPUT_MS;
  }

  /** Input that was held back goes on in a later turn. */
  laterInput(job: () => void): void {
    this.#inputs.add({ jobs: [] }, { begin: job });
  }

  #takesInput(): boolean {
    this.#beginInputTurn();
    this.#resumed += 1;
    return this.#resumed <= TURN_INPUTS;
  }

  #beginInputTurn(): void {
    if (this.#inputTurn === this.#inputs.turn) return;
    this.#inputTurn = this.#inputs.turn;
    this.#inputMs = 0;
    this.#resumed = 0;
  }

  #shareOf(connection: object): Share {
    const known = this.#shares.get(connection);
    if (known !== undefined) return known;
    const share: Share = { turn: this.#loop.turn, used: 0, jobs: [] };
    this.#shares.set(connection, share);
    return share;
  }
}
