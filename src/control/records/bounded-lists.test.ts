import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BoundedLists, listIn } from "./bounded-lists.ts";
import type { BoundedList, TotalBounds } from "./bounded-lists.ts";

function start(max: number, bounds: TotalBounds) {
  const all = new BoundedLists<string>(bounds);
  const lists = new Map<string, BoundedList<string>>();
  return {
    all,
    lists,
    add: (key: string, value: string, length?: number) => all.add(listIn(lists, key, max), value, length),
    values: () => [...all].map(({ value }) => value),
    of: (key: string) => [...(lists.get(key) ?? [])].map(({ value }) => value),
  };
}

describe("bounded lists", () => {
  it("keep the latest of each list, and number all of them", () => {
    const { all, add, values, of } = start(2, { size: 10 });
    for (const value of ["a1", "b1", "a2", "a3"]) add(value.charAt(0), value);
    assert.deepEqual([values(), of("a"), of("b")], [["a3", "a2", "b1"], ["a3", "a2"], ["b1"]]);
    assert.deepEqual([[...all].map(({ number }) => number), all.latest, all.size], [[4, 3, 2], 4, 3]);
  });

  it("let a busy list take nothing from a quiet one", () => {
    const { add, of } = start(100, { size: 10 });
    for (const value of ["q1", "q2"]) add("quiet", value);
    for (let i = 0; i < 1_000; i += 1) add(`busy-${i % 2}`, `b${i}`);
    assert.deepEqual(of("quiet"), ["q2", "q1"]);
  });

  it("stay below their total, and forget lists without entries, however many there are", () => {
    const { all, lists, add, values } = start(3, { size: 10 });
    for (let i = 0; i < 1_000; i += 1) add(`list-${i}`, String(i));
    assert.deepEqual([all.size, lists.size], [10, 10]);
    assert.deepEqual(
      values(),
      Array.from({ length: 10 }, (_, i) => String(999 - i)),
    );
  });

  it("stay below the sum of their lengths", () => {
    const { all, add, values } = start(10, { size: 100, length: 10 });
    add("a", "first", 6);
    add("b", "second", 4);
    assert.equal(all.size, 2);
    add("c", "third", 5);
    assert.deepEqual(values(), ["third", "second"]);
    add("d", "whole", 10);
    assert.deepEqual(values(), ["whole"]);
  });
});
