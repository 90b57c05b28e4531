import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TurnQueue } from "./turn-queue.ts";

function queue(...items: [lane: string, item: string][]): TurnQueue<string> {
  const created = new TurnQueue<string>();
  for (const [lane, item] of items) created.add(lane, item);
  return created;
}

/** Takes so many, by one call of `serve()` each. */
function take(from: TurnQueue<string>, count: number): string[] {
  const taken: string[] = [];
  for (let n = 0; n < count; n += 1) {
    let left = 1;
    from.serve((item) => {
      if (left === 0) return false;
      left -= 1;
      taken.push(item);
      return true;
    });
  }
  return taken;
}

describe("a queue in lanes", () => {
  it("serves the lanes in turn within one call", () => {
    const all = queue(["a", "a1"], ["a", "a2"], ["a", "a3"], ["b", "b1"]);
    const served: string[] = [];
    all.serve((item) => served.push(item) > 0);
    assert.deepEqual(served, ["a1", "b1", "a2", "a3"]);
    assert.equal(all.size, 0);
  });

  it("goes on with the next lane where the last call ended", () => {
    const all = queue(["a", "a1"], ["a", "a2"], ["a", "a3"], ["b", "b1"], ["b", "b2"], ["c", "c1"]);
    assert.deepEqual(take(all, 5), ["a1", "b1", "c1", "a2", "b2"]);
  });

  it("passes over a lane whose first item has to wait", () => {
    const all = queue(["a", "a1"], ["b", "b1"], ["b", "b2"]);
    const served: string[] = [];
    all.serve((item, lane) => lane !== "a" && served.push(item) > 0);
    assert.deepEqual(served, ["b1", "b2"]);
    assert.deepEqual([all.size, all.lengthOf("a"), all.items()], [1, 1, ["a1"]]);
  });

  it("keeps what is added to a lane, or removed from it, while it is served", () => {
    const all = queue(["a", "a1"]);
    const served: string[] = [];
    all.serve((item) => {
      all.remove("a", item);
      if (item === "a1") all.add("a", "a2");
      return served.push(item) > 0;
    });
    assert.deepEqual(served, ["a1", "a2"]);
    assert.equal(all.remove("a", "a1"), false);
  });
});
