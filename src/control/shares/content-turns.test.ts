import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContentTurns } from "./content-turns.ts";
import { SMALL_PIECES_PER_TURN } from "./limits.ts";

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Content of so many small pieces: passes as many as it may, then waits for its turn. */
class Content {
  left: number;
  readonly #turns: ContentTurns;
  readonly #holder: string;
  readonly #log: string[];

  constructor(turns: ContentTurns, holder: string, pieces: number, log: string[] = []) {
    this.#turns = turns;
    this.#holder = holder;
    this.left = pieces;
    this.#log = log;
  }

  begin(): void {
    this.#log.push(this.#holder);
    while (this.left > 0) {
      this.left -= 1;
      if (!this.#turns.pass(this.#holder)) return this.#turns.wait(this.#holder, this);
    }
  }
}

describe("ContentTurns", () => {
  it("passes a credential's pieces up to the bound, of all its responses together", () => {
    const turns = new ContentTurns();
    const two = [1, 2].map(() => new Content(turns, "user a", SMALL_PIECES_PER_TURN));
    for (const content of two) content.begin();
    assert.deepEqual(
      two.map(({ left }) => left),
      [0, SMALL_PIECES_PER_TURN - 1],
    );
  });

  it("counts from zero in the next turn", async () => {
    const turns = new ContentTurns();
    for (let round = 0; round < 5; round += 1) {
      for (let i = 1; i < SMALL_PIECES_PER_TURN; i += 1) assert.equal(turns.pass("user a"), true);
      await turn();
    }
  });

  it("gives another credential its pieces in the same turn, and its turn next", async () => {
    const turns = new ContentTurns();
    const log: string[] = [];
    const many = Array.from(
      { length: 50 },
      () => new Content(turns, "user a", 20 * SMALL_PIECES_PER_TURN, log),
    );
    for (const content of many) content.begin();
    const other = new Content(turns, "user b", 2 * SMALL_PIECES_PER_TURN - 1, log);
    other.begin();
    assert.equal(other.left, SMALL_PIECES_PER_TURN - 1);
    while (other.left > 0) await turn();
    const waitedFor = log.lastIndexOf("user b") - log.indexOf("user b") - 1;
    assert.ok(waitedFor <= 2, `${waitedFor} turns of the other`);
    while (many.some(({ left }) => left > 0)) await turn();
  });
});
