import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TURN_INPUT_MS, TURN_INPUTS, TURN_REQUESTS_PER_CONNECTION } from "./limits.ts";
import { Turns } from "./turns.ts";

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("Turns", () => {
  it("runs what fits into a connection's share at once, and the rest in order", async () => {
    const turns = new Turns();
    const connection = {};
    const ran: number[] = [];
    const count = TURN_REQUESTS_PER_CONNECTION + 3;
    for (let i = 0; i < count; i += 1) turns.run(connection, () => ran.push(i));
    assert.equal(ran.length, TURN_REQUESTS_PER_CONNECTION);
    while (ran.length < count) await turn();
    assert.deepEqual(
      ran,
      Array.from({ length: count }, (_, i) => i),
    );
  });

  it("serves another connection at once while one has a thousand waiting", async () => {
    const turns = new Turns();
    const ran: string[] = [];
    const busy = {};
    for (let i = 0; i < 1_000; i += 1) turns.run(busy, () => ran.push("busy"));
    turns.run({}, () => ran.push("other"));
    assert.equal(ran.indexOf("other"), TURN_REQUESTS_PER_CONNECTION);
    while (ran.length < 1_001) await turn();
  });

  it("alternates between connections that wait", async () => {
    const turns = new Turns();
    const ran: string[] = [];
    for (const [connection, name] of [
      [{}, "a"],
      [{}, "b"],
    ] as const) {
      for (let i = 0; i < 3; i += 1) turns.later(connection, () => ran.push(name));
    }
    assert.deepEqual(ran, []);
    while (ran.length < 6) await turn();
    assert.equal(ran.join(""), "ababab");
  });

  it("resumes a bounded number of inputs in one turn, in order, and all of them in the end", async () => {
    const turns = new Turns();
    const resumed: number[] = [];
    const count = 3 * TURN_INPUTS + 1;
    for (let i = 0; i < count; i += 1) turns.laterInput(() => resumed.push(i));
    assert.equal(resumed.length, 0);
    while (resumed.length < count) {
      const before: number = resumed.length;
      await turn();
      assert.ok(resumed.length - before <= TURN_INPUTS, `${resumed.length - before} in one turn`);
    }
    assert.deepEqual(
      resumed,
      Array.from({ length: count }, (_, i) => i),
    );
  });

  it("reports that the input of a turn has taken its time, of all connections together", async () => {
    const turns = new Turns();
    assert.deepEqual([turns.spendInput(TURN_INPUT_MS), turns.spendInput(0.1)], [false, true]);
    await turn();
    assert.equal(turns.spendInput(0.1), false);
  });

  it("leaves the loop to others when the waiting jobs of a turn have taken too long", async () => {
    const turns = new Turns();
    let ran = 0;
    const slow = (): void => {
      const until = performance.now() + 5;
      while (performance.now() < until);
      ran += 1;
    };
    for (let i = 0; i < 20; i += 1) turns.later({}, slow);
    await turn();
    await turn();
    assert.ok(ran < 20, `${ran} jobs in one turn`);
    while (ran < 20) await turn();
  });
});
