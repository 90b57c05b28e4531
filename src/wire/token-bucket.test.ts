import assert from "node:assert/strict";
import { afterEach, beforeEach, it, mock } from "node:test";
import { TokenBucket } from "./token-bucket.ts";

let nowMs = 0;

beforeEach(() => {
  nowMs = 1_000;
  mock.method(performance, "now", () => nowMs);
});
afterEach(() => mock.restoreAll());

it("lets a burst pass, then what refills", () => {
  const bucket = new TokenBucket({ burst: 3, perS: 2 });
  const taken = (): number => [1, 2, 3, 4, 5].filter(() => bucket.take()).length;
  assert.equal(taken(), 3);
  assert.equal(bucket.waitMs(), 500);
  nowMs += 500;
  assert.deepEqual([bucket.waitMs(), taken()], [0, 1]);
  nowMs += 60_000;
  assert.deepEqual([bucket.isFull, taken(), bucket.isFull], [true, 3, false]);
});

it("takes nothing where there is too little", () => {
  const bucket = new TokenBucket({ burst: 3, perS: 1 });
  assert.deepEqual([bucket.take(2), bucket.take(2), bucket.take(1)], [true, false, true]);
});

it("may owe a burst at most, and never makes anyone wait for more than it holds", () => {
  const bucket = new TokenBucket({ burst: 10, perS: 10 });
  bucket.spend(1_000_000);
  assert.equal(bucket.waitMs(), 1_100);
  assert.equal(bucket.waitMs(1_000_000), 2_000);
});
