import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { ExchangeTurns } from "./exchange-turns.ts";
import {
  ARRIVAL_TURN_MS,
  ARRIVAL_TURNS,
  BULK_ARRIVAL_TURNS,
  BULK_EXCHANGES_AT_ONCE,
  BULK_MS,
  EXCHANGES_TURN_MS,
} from "./limits.ts";

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Only jobs take time: on busy cores a turn of the event loop may be of any length. */
let nowMs = 1;

/** A job that notes that it has begun, and takes so long. */
function job(begun: string[], name: string, ms = 0) {
  const begin = (): void => {
    begun.push(name);
    nowMs += ms;
  };
  return { begin };
}

describe("ExchangeTurns", () => {
  beforeEach(() => void mock.method(performance, "now", () => nowMs));
  afterEach(() => mock.restoreAll());

  it("begins requests at once while the turn is short, and all of them in the end, in order", async () => {
    const turns = new ExchangeTurns();
    const begun: string[] = [];
    const names = Array.from({ length: 30 }, (_, i) => String(i));
    turns.run("user a", job(begun, "first"));
    assert.deepEqual(begun, ["first"]);
    for (const name of names) turns.run("user a", job(begun, name, 1));
    assert.ok(begun.length < 30, `${begun.length} in one turn`);
    while (begun.length < 31) await turn();
    assert.deepEqual(begun, ["first", ...names]);
  });

  it("begins another's request next while one has a thousand waiting", async () => {
    const turns = new ExchangeTurns();
    const begun: string[] = [];
    turns.run("user a", job(begun, "a", EXCHANGES_TURN_MS));
    for (let i = 0; i < 1_000; i += 1) turns.run("user a", job(begun, "a"));
    turns.run("user b", job(begun, "b"));
    assert.deepEqual(begun, ["a"]);
    while (begun.length < 1_002) await turn();
    assert.equal(begun.indexOf("b"), 2);
  });

  it("counts what a request puts off within the turn", async () => {
    const turns = new ExchangeTurns();
    const begun: string[] = [];
    const later = (name: string) => ({
      begin: () => {
        void Promise.resolve().then(() => job(begun, name, EXCHANGES_TURN_MS).begin());
      },
    });
    turns.run("user a", job(begun, "a", EXCHANGES_TURN_MS));
    for (let i = 0; i < 4; i += 1) turns.run(`user ${i}`, later(String(i)));
    await turn();
    await turn();
    assert.ok(begun.length <= 4, begun.join());
    while (begun.length < 5) await turn();
  });

  it("begins one request in a few turns while connections arrive, and the others when they do not", async () => {
    const turns = new ExchangeTurns();
    const begun: string[] = [];
    turns.arrived();
    await turn();
    for (let i = 0; i < 10; i += 1) turns.run("user a", job(begun, "a", ARRIVAL_TURN_MS));
    const before = begun.length;
    for (let i = 0; i < 3 * ARRIVAL_TURNS; i += 1) {
      turns.arrived();
      await turn();
    }
    assert.equal(begun.length - before, 3);
    while (begun.length < 10) await turn();
  });

  it("begins one request a turn of a credential with much new bulk, and all of others", async () => {
    const turns = new ExchangeTurns();
    const begun: string[] = [];
    for (let i = 0; i < BULK_EXCHANGES_AT_ONCE; i += 1) turns.countBulk("user a");
    for (let i = 0; i < 5; i += 1) turns.run("user a", job(begun, "a"));
    for (let i = 0; i < 3; i += 1) turns.run("user b", job(begun, "b"));
    assert.equal(begun.join(""), "abbb");
    await turn();
    assert.ok(begun.length <= 5, begun.join(""));
    while (begun.length < 8) await turn();
    assert.equal(begun.join(""), "abbbaaaa");
    await turn();
    for (let i = 0; i < 3; i += 1) turns.run("user a", job(begun, "_"));
    for (let i = 0; i < BULK_ARRIVAL_TURNS; i += 1) {
      turns.arrived();
      await turn();
    }
    assert.ok(begun.length <= 10, begun.join(""));
    while (begun.length < 11) await turn();
    begun.splice(0, 11, "abbbaaaa");
    await turn();
    nowMs += BULK_MS + 1;
    for (let i = 0; i < 3; i += 1) turns.run("user a", job(begun, "A"));
    assert.equal(begun.join(""), "abbbaaaaAAA");
  });

  it("goes on when the request's credential has none waiting any more", async () => {
    const turns = new ExchangeTurns();
    const begun: string[] = [];
    turns.run("user a", job(begun, "1", EXCHANGES_TURN_MS));
    turns.run("user a", job(begun, "2"));
    while (begun.length < 2) await turn();
    await turn();
    turns.run("user a", job(begun, "3"));
    assert.deepEqual(begun, ["1", "2", "3"]);
  });
});
