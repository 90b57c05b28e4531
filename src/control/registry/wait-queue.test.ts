import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_WAITING_DIALS, WAITING_DIALS_PER_CALLER_AND_RUNNER } from "../limits.ts";
import { WaitBudget, WaitQueue } from "./wait-queue.ts";
import type { Woken } from "./wait-queue.ts";

/** A queue that records in which order its dials are released or fail. */
function queue(budget: WaitBudget = new WaitBudget()) {
  const waiting = new WaitQueue(budget);
  const done: string[] = [];
  const abort = new AbortController();
  const all: Promise<void>[] = [];
  const wait = (caller: string, target = "t"): void => {
    const waited = waiting.wait("r", { caller, target, timeoutMs: 60_000, signal: abort.signal }).then(
      (how) => void done.push(`${caller}:${how}`),
      (error: unknown) => void done.push(`${caller}:${error instanceof TurnaboutError ? error.code : "?"}`),
    );
    all.push(waited);
  };
  const end = async (): Promise<void> => {
    abort.abort();
    await Promise.all(all);
  };
  return { waiting, done, wait, end };
}

function room(places: number): () => Woken | undefined {
  let left = places;
  return () => {
    left -= 1;
    return left >= 0 ? "turn" : undefined;
  };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("dials that wait for a runner", () => {
  it("are released by turns of their callers, however many each has", async () => {
    const { waiting, done, wait, end } = queue();
    for (let n = 0; n < 100; n += 1) wait("greedy");
    wait("modest");
    wait("modest");
    waiting.release(room(5));
    await turn();
    assert.deepEqual(done, ["greedy:turn", "modest:turn", "greedy:turn", "modest:turn", "greedy:turn"]);
    assert.equal(waiting.size, 97);
    await end();
    assert.equal(waiting.size, 0);
  });

  it("are not held back by a full target that is not theirs", async () => {
    const { waiting, done, wait, end } = queue();
    wait("a", "full");
    wait("a", "free");
    wait("b", "free");
    waiting.release(({ target }) => (target === "free" ? "turn" : undefined));
    await turn();
    assert.deepEqual(done, ["a:turn", "b:turn"]);
    assert.ok(waiting.isQueued("full") && !waiting.isQueued("free"));
    assert.ok(!waiting.isQueued("full", (caller) => caller !== "a"), "its caller has no share left");
    await end();
  });

  it("are bounded for each caller", async () => {
    const { done, wait, end } = queue();
    for (let n = 0; n < WAITING_DIALS_PER_CALLER_AND_RUNNER; n += 1) wait("greedy");
    wait("greedy");
    wait("modest");
    await turn();
    assert.deepEqual(done, ["greedy:share_exceeded"]);
    await end();
  });

  it("of a caller that has its share are passed over, and those that have to decide anew leave the queue", async () => {
    const { waiting, done, wait, end } = queue();
    for (const caller of ["full", "full", "stuck", "stuck", "free"]) wait(caller);
    const woken: Record<string, Woken | undefined> = { stuck: "change", free: "turn" };
    waiting.release(({ caller }) => woken[caller]);
    await turn();
    assert.deepEqual(done.toSorted(), ["free:turn", "stuck:change", "stuck:change"]);
    assert.equal(waiting.size, 2);
    await end();
  });

  it("lose a place of the caller with the most when all are taken, never one of a caller with few", async () => {
    const budget = new WaitBudget();
    const max = WAITING_DIALS_PER_CALLER_AND_RUNNER;
    const runners = Array.from({ length: MAX_WAITING_DIALS / max }, () => queue(budget));
    for (const { wait } of runners) for (let n = 0; n < max; n += 1) wait("greedy");
    assert.equal(budget.total, MAX_WAITING_DIALS);
    const other = queue(budget);
    other.wait("modest");
    other.wait("greedy");
    await turn();
    assert.deepEqual(other.done, ["greedy:overloaded"]);
    assert.deepEqual(
      runners.flatMap(({ done }) => done),
      ["greedy:overloaded"],
    );
    assert.equal(budget.total, MAX_WAITING_DIALS);
    await Promise.all([...runners, other].map(({ end }) => end()));
    assert.equal(budget.total, 0);
  });
});
