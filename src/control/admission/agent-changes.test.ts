import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import { CHANGES_PER_TURN, MAX_PENDING_CHANGES } from "../limits.ts";
import { AgentChanges } from "./agent-changes.ts";

let nowMs = 0;

beforeEach(() => {
  nowMs = 0;
  mock.timers.enable({ apis: ["setImmediate", "setTimeout"] });
  mock.method(performance, "now", () => nowMs);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

interface Stand {
  changes: AgentChanges;
  known: Set<string>;
  applied: string[];
  rooms: number;
}

function start(burst = 1_000_000, perS = 1): Stand {
  const stand: Stand = {
    known: new Set(),
    applied: [],
    rooms: 0,
    changes: new AgentChanges({
      budgets: [new TokenBucket({ burst, perS })],
      isKnown: (id) => stand.known.has(id),
      apply: (event) => {
        stand.applied.push(written(event));
        if (event.type === "runner-added") stand.known.add(event.runner.id);
        if (event.type === "runner-removed") stand.known.delete(event.id);
      },
      onRoom: () => (stand.rooms += 1),
    }),
  };
  return stand;
}

function written(event: AgentEvent): string {
  if (event.type === "runner-added") return `+${event.runner.id}/${event.runner.targets[0]?.name}`;
  return event.type === "runner-removed"
    ? `-${event.id}`
    : `${event.target}.${event.runner} ${event.healthy}`;
}

const added = (id: string, target = "t"): AgentEvent => ({
  type: "runner-added",
  runner: { id, targets: [{ name: target, http: "auto" }] },
});
const removed = (id: string): AgentEvent => ({ type: "runner-removed", id });
const health = (runner: string, healthy: boolean, target = "t"): AgentEvent => ({
  type: "target-health",
  runner,
  target,
  healthy,
});

function pass(ms = 0): void {
  nowMs += ms;
  mock.timers.tick(ms);
}

describe("the changes of an agent", () => {
  it("are applied in order", () => {
    const { changes, applied } = start();
    for (const event of [added("a"), health("a", false), added("b"), health("b", true)]) changes.push(event);
    assert.deepEqual(applied, []);
    pass();
    assert.deepEqual(applied, ["+a/t", "t.a false", "+b/t", "t.b true"]);
    for (const event of [removed("a"), removed("b"), added("a")]) changes.push(event);
    pass();
    assert.deepEqual(applied.slice(4), ["+a/t", "-b"]);
  });

  it("count in their last state only, and what comes and goes is nothing", () => {
    const { changes, applied } = start();
    for (let n = 0; n < 1_000; n += 1) {
      changes.push(added("flaps", `t${n}`));
      changes.push(health("flaps", n % 2 === 0));
      changes.push(added(`new-${n}`));
      changes.push(removed(`new-${n}`));
      changes.push(removed("unknown"));
      changes.push(health("unknown", false));
    }
    pass();
    assert.deepEqual(applied, ["+flaps/t999", "t.flaps false"]);
  });

  it("are applied at the rate of the budget once its burst is used up, and none is lost", () => {
    const { changes, applied } = start(5, 10);
    for (let n = 0; n < 20; n += 1) changes.push(added(`r${n}`));
    pass();
    assert.equal(applied.length, 5);
    for (let n = 0; n < 15; n += 1) pass(100);
    assert.equal(applied.length, 20);
  });

  it("of health alone cost nothing", () => {
    const { changes, applied, known } = start(1, 1);
    changes.push(added("a"));
    pass();
    known.add("a");
    for (let n = 0; n < 5; n += 1) {
      changes.push(health("a", n % 2 === 0));
      pass();
    }
    assert.equal(applied.length, 6);
  });

  it("leave the event loop to others after a number of them", () => {
    const { changes, applied } = start();
    for (let n = 0; n < 2 * CHANGES_PER_TURN; n += 1) changes.push(added(`r${n}`));
    mock.timers.tick(0);
    assert.ok(applied.length >= CHANGES_PER_TURN);
    pass(1);
    pass(1);
    assert.equal(applied.length, 2 * CHANGES_PER_TURN);
  });

  it("ask the reader to stop while too many are pending, and to go on when there is room", () => {
    const stand = start(1, 1_000);
    for (let n = 0; n < MAX_PENDING_CHANGES; n += 1) stand.changes.push(added(`r${n}`));
    assert.equal(stand.changes.isFull, true);
    pass();
    assert.equal(stand.rooms, 0);
    for (let n = 0; n < MAX_PENDING_CHANGES; n += 1) pass(1);
    assert.deepEqual([stand.changes.isFull, stand.rooms], [false, 1]);
  });

  it("are dropped at the end", () => {
    const { changes, applied } = start();
    changes.push(added("a"));
    changes.clear();
    pass(10);
    assert.deepEqual(applied, []);
    changes.push(added("b"));
    pass();
    assert.deepEqual(applied, ["+b/t"]);
  });
});
