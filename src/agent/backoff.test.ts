import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Backoff } from "./backoff.ts";

describe("backoff", () => {
  it("doubles its span up to the cap", () => {
    const backoff = new Backoff({ baseMs: 500, capMs: 8_000, random: () => 0.999_999 });
    const delays = Array.from({ length: 7 }, () => backoff.next());
    assert.deepEqual(delays, [499, 999, 1_999, 3_999, 7_999, 7_999, 7_999]);
    assert.equal(backoff.failures, 7);
  });

  it("starts from the first span again after a reset", () => {
    const backoff = new Backoff({ baseMs: 500, capMs: 8_000, random: () => 0.5 });
    for (let n = 0; n < 10; n += 1) backoff.next();
    backoff.reset();
    assert.deepEqual([backoff.failures, backoff.next()], [0, 250]);
  });

  it("stays within its span for any number of failures", () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (failures, r) => {
        const backoff = new Backoff({ baseMs: 500, capMs: 8_000, random: () => r });
        let delay = 0;
        for (let n = 0; n <= failures; n += 1) delay = backoff.next();
        assert.ok(Number.isInteger(delay) && delay >= 0 && delay < Math.min(8_000, 500 * 2 ** failures));
      }),
      { numRuns: 50 },
    );
  });

  it("spreads over the whole span", () => {
    const delays = Array.from({ length: 1_000 }, () => new Backoff({ baseMs: 1_000, capMs: 8_000 }).next());
    const quarters = [0, 1, 2, 3].map((q) => delays.filter((ms) => Math.floor(ms / 250) === q).length);
    assert.ok(
      quarters.every((count) => count > 100),
      String(quarters),
    );
  });

  it("takes another cap, and a floor", () => {
    const backoff = new Backoff({ baseMs: 100, capMs: 8_000, random: () => 0.5 });
    assert.equal(backoff.next(8_000, 4_000), 2_000);
    assert.equal(backoff.next(8_000, 4_000), 2_000);
    for (let n = 0; n < 10; n += 1) backoff.next();
    assert.equal(backoff.next(1_000), 500);
  });
});
