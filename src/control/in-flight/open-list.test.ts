import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OpenList } from "./open-list.ts";

const item = (name: string) => ({ name, listIndex: -1 });

describe("OpenList", () => {
  it("has what was added and not removed", () => {
    const list = new OpenList<ReturnType<typeof item>>();
    const [a, b, c] = [item("a"), item("b"), item("c")];
    for (const each of [a, b, c]) list.add(each);
    assert.equal(list.remove(a), true);
    assert.deepEqual(
      list
        .all()
        .map(({ name }) => name)
        .toSorted(),
      ["b", "c"],
    );
    assert.equal(list.has(a), false);
    assert.equal(list.has(c), true);
    assert.equal(list.remove(c), true);
    assert.equal(list.remove(b), true);
    assert.equal(list.size, 0);
  });

  it("does not remove an item twice, or one that it does not have", () => {
    const list = new OpenList<ReturnType<typeof item>>();
    const [a, b] = [item("a"), item("b")];
    list.add(a);
    list.add(b);
    assert.equal(list.remove(a), true);
    assert.equal(list.remove(a), false);
    assert.equal(list.remove(item("c")), false);
    assert.deepEqual(list.all(), [b]);
  });

  it("is looked through safely while items leave", () => {
    const list = new OpenList<ReturnType<typeof item>>();
    const names = ["a", "b", "c", "d"];
    for (const name of names) list.add(item(name));
    const seen: string[] = [];
    for (const each of list.all()) {
      seen.push(each.name);
      list.remove(each);
    }
    assert.deepEqual(seen, names);
    assert.equal(list.size, 0);
  });
});
