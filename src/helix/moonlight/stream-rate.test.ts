import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { StreamRate } from "./stream-rate.ts";

describe("StreamRate", () => {
  beforeEach(() => mock.timers.enable({ apis: ["Date"], now: 1_000_000 }));
  afterEach(() => mock.timers.reset());

  it("allows one in three seconds for each session, and reports when the next is allowed", () => {
    const rate = new StreamRate();
    const retryOf = (session: string): number | undefined => {
      try {
        rate.take(session);
      } catch (error) {
        assert.ok(error instanceof TurnaboutError && error.code === "rate_limited");
        return error.retryAfterS;
      }
      return undefined;
    };
    assert.equal(retryOf("a"), undefined);
    assert.equal(retryOf("b"), undefined);
    assert.equal(retryOf("a"), 3);
    mock.timers.tick(2_001);
    assert.equal(retryOf("a"), 1, "a refused one does not count");
    mock.timers.tick(999);
    assert.equal(retryOf("a"), undefined);
  });
});
