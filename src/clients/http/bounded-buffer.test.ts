/** A source that is read whether or not anybody takes its items. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BoundedBuffer } from "./bounded-buffer.ts";

async function* count(to: number, seen: number[] = []): AsyncGenerator<number, void, undefined> {
  for (let n = 1; n <= to; n += 1) {
    seen.push(n);
    yield n;
  }
}

const roomy = { maxItems: 100, maxBytes: 1_000, bytesOf: () => 1 };

async function takeAll(buffer: BoundedBuffer<number>): Promise<[number, number][]> {
  const all: [number, number][] = [];
  for (let kept = await buffer.next(); kept !== undefined; kept = await buffer.next()) {
    all.push([kept.item, kept.missed]);
  }
  return all;
}

/** Everything that is ready has been done. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("reads to the end without a reader, and gives everything that fits", async () => {
  const seen: number[] = [];
  const buffer = new BoundedBuffer(count(3, seen), roomy);
  await settled();
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(await takeAll(buffer), [
    [1, 0],
    [2, 0],
    [3, 0],
  ]);
});

test("drops the oldest above its limit, and reports how many", async () => {
  const buffer = new BoundedBuffer(count(10), { ...roomy, maxItems: 3 });
  await settled();
  assert.deepEqual(await takeAll(buffer), [
    [8, 7],
    [9, 0],
    [10, 0],
  ]);
});

test("drops the oldest beyond its bytes, but never the last", async () => {
  const buffer = new BoundedBuffer(count(5), { ...roomy, maxBytes: 10, bytesOf: (n) => n * 3 });
  await settled();
  assert.deepEqual(await takeAll(buffer), [[5, 4]]);
});

test("throws what its source threw, after what came before it", async () => {
  async function* failing(): AsyncGenerator<number, void, undefined> {
    yield 1;
    throw new RangeError("broken");
  }
  const buffer = new BoundedBuffer(failing(), roomy);
  await settled();
  assert.deepEqual(await buffer.next(), { item: 1, missed: 0 });
  await assert.rejects(buffer.next(), { name: "RangeError" });
  await assert.rejects(buffer.next(), { name: "RangeError" });
});
