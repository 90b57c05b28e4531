import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { turn } from "../../../test/support/events.ts";
import { Reconciler } from "./reconciler.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** Each run waits until the test ends it. */
function start(worthRetrying: () => boolean = () => true) {
  const runs: { id: string; end: PromiseWithResolvers<void> }[] = [];
  const failures: string[] = [];
  const reconciler = new Reconciler({
    task: (id) => {
      const end = Promise.withResolvers<void>();
      runs.push({ id, end });
      return end.promise;
    },
    worthRetrying,
    onFailure: (id, error) => failures.push(`${id}: ${(error as Error).message}`),
  });
  return { runs, failures, reconciler };
}

describe("Reconciler", () => {
  it("runs for one subject at a time, and for several at once", async () => {
    const { runs, reconciler } = start();
    const all = [reconciler.run("a"), reconciler.run("b"), reconciler.run("a")];
    await turn();
    assert.deepEqual(
      runs.map(({ id }) => id),
      ["a", "b"],
    );
    for (const { end } of runs) end.resolve();
    await turn();
    assert.equal(runs.length, 3);
    runs[2]?.end.resolve();
    await Promise.all(all);
  });

  it("resolves a request with a run that began after it, however many requests wait", async () => {
    const { runs, reconciler } = start();
    const first = reconciler.run("a");
    let isDone = false;
    const later = Promise.all([reconciler.run("a"), reconciler.run("a")]).then(() => (isDone = true));
    runs[0]?.end.resolve();
    await first;
    await turn();
    assert.deepEqual([isDone, runs.length], [false, 2]);
    const last = reconciler.run("a");
    runs[1]?.end.resolve();
    await later;
    await turn();
    assert.equal(runs.length, 3);
    runs[2]?.end.resolve();
    await last;
  });

  it("retries after a failure, at a request and by itself, with growing pauses", async () => {
    const { runs, failures, reconciler } = start();
    const first = reconciler.run("a");
    const second = reconciler.run("a");
    runs[0]?.end.reject(new Error("one"));
    await assert.rejects(first, /one/);
    await turn();
    runs[1]?.end.reject(new Error("two"));
    await assert.rejects(second, /two/);
    assert.deepEqual(failures, ["a: one", "a: two"]);
    mock.timers.tick(1_999);
    assert.equal(runs.length, 2);
    mock.timers.tick(1);
    assert.equal(runs.length, 3);
    runs[2]?.end.resolve();
    await turn();
    mock.timers.tick(1_000_000);
    assert.equal(runs.length, 3, "settled");
  });

  it("does not try again what has become pointless, nor after its end", async () => {
    const pointless = start(() => false);
    pointless.reconciler.request("a");
    pointless.runs[0]?.end.reject(new Error("x"));
    await turn();
    mock.timers.tick(1_000_000);
    assert.equal(pointless.runs.length, 1);
    const closed = start();
    closed.reconciler.request("a");
    closed.reconciler.request("b");
    closed.runs[0]?.end.reject(new Error("x"));
    await turn();
    closed.reconciler.close();
    closed.runs[1]?.end.reject(new Error("x"));
    await turn();
    mock.timers.tick(1_000_000);
    assert.equal(closed.runs.length, 2);
  });
});
