/**
 * Turns of the event loop for content that comes in small pieces, shared out among credentials. A piece of one byte takes as long
 * as one of a thousand, so a target can make the content that has come in one turn take a second. Each credential passes a number
 * of small pieces in a turn; what has more waits, and the credentials take turns. Where only one is active it gets everything.
 */
import { CONTENT_TURN_MS, SMALL_PIECES_PER_TURN } from "./limits.ts";
import { TurnLoop } from "./turn-loop.ts";
import type { Job, Lane } from "./turn-loop.ts";

interface HolderLane extends Lane {
  readonly holder: string;
}

export class ContentTurns {
  /** Of holders with waiting exchanges, whose number is bounded by the holder's open streams. */
  readonly #lanes = new Map<string, HolderLane>();
  readonly #loop: TurnLoop<HolderLane>;
  /** Small pieces of this turn; of a holder whose exchange goes on, since then. */
  readonly #passed = new Map<string, number>();
  #turn = -1;

  constructor() {
    this.#loop = new TurnLoop({
      budgetMs: () => CONTENT_TURN_MS,
      takes: ({ holder }) => {
        this.#passed.set(holder, 0);
        return true;
      },
      onEmpty: ({ holder }) => this.#lanes.delete(holder),
    });
  }

  /** A small piece has passed. @returns false if no more may: the exchange has to {@link wait} */
  pass(holder: string): boolean {
    this.#loop.follow();
    if (this.#turn !== this.#loop.turn) {
      this.#turn = this.#loop.turn;
      this.#passed.clear();
    }
    const passed = (this.#passed.get(holder) ?? 0) + 1;
    this.#passed.set(holder, passed);
    return passed < SMALL_PIECES_PER_TURN;
  }

  /** The exchange goes on when its turn has come. */
  wait(holder: string, exchange: Job): void {
    let lane = this.#lanes.get(holder);
    if (lane === undefined) this.#lanes.set(holder, (lane = { holder, jobs: [] }));
    this.#loop.add(lane, exchange);
  }
}
