import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { KnownRunnerStore } from "./known-runners.ts";
import { Store } from "./store.ts";

const HOUR_MS = 3_600_000;

beforeEach(() => mock.timers.enable({ apis: ["Date"], now: 1_000_000_000 }));
afterEach(() => mock.timers.reset());

describe("KnownRunnerStore", () => {
  it("forgets a runner a day after it was last there, not a day after it came", () => {
    const store = new Store();
    const runners = new KnownRunnerStore(store);
    runners.seen("stays", "c1");
    runners.seen("left", "c2");
    mock.timers.tick(23 * HOUR_MS);
    runners.stillThere(["stays", "never-heard-of"]);
    assert.deepEqual(
      runners
        .recent()
        .map(({ id }) => id)
        .toSorted(),
      ["left", "stays"],
    );
    mock.timers.tick(2 * HOUR_MS);
    assert.deepEqual(runners.recent(), [{ id: "stays", credential: "c1" }]);
    mock.timers.tick(24 * HOUR_MS);
    assert.deepEqual(runners.recent(), []);
    store.close();
  });

  it("forgets at once what will not come back", () => {
    const store = new Store();
    const runners = new KnownRunnerStore(store);
    runners.seen("a", "c");
    runners.forget("a");
    runners.stillThere(["a"]);
    assert.deepEqual(runners.recent(), []);
    store.close();
  });

  it("keeps the latest credential", () => {
    const store = new Store();
    const runners = new KnownRunnerStore(store);
    runners.seen("a", "old");
    runners.seen("a", "new");
    assert.deepEqual(runners.recent(), [{ id: "a", credential: "new" }]);
    store.close();
  });
});
