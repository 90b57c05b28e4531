/** The clock of leases counts the time for which a machine was suspended, and never goes back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "./clock.ts";

describe("the system clock", () => {
  it("counts what the monotonic clock misses while a machine is suspended", () => {
    let [monotonic, wall] = [100, 1_000_000];
    const clock = systemClock(
      () => monotonic,
      () => wall,
    );
    const start = clock.now();
    [monotonic, wall] = [monotonic + 500, wall + 500];
    assert.equal(clock.now() - start, 500);
    [monotonic, wall] = [monotonic + 10, wall + 60_000];
    assert.equal(clock.now() - start, 60_500);
    [monotonic, wall] = [monotonic + 100, wall - 3_600_000]; // set back
    assert.equal(clock.now() - start, 60_600);
  });

  it("ignores a wall clock that is corrected by little", () => {
    let [monotonic, wall] = [0, 0];
    const clock = systemClock(
      () => monotonic,
      () => wall,
    );
    for (let i = 0; i < 10; i += 1) {
      [monotonic, wall] = [monotonic + 1_000, wall + 1_400];
      assert.equal(clock.now(), monotonic);
    }
  });
});
