import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../../wire/log.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { AnonymousCallers } from "./anonymous-callers.ts";
import { MAX_RATED_ADDRESSES, MAX_REFUSAL_LINES_BURST, REFUSAL_LINES_BURST } from "./limits.ts";
import { RateLimits } from "./rate-limits.ts";
import { RefusalLog } from "./refusal-log.ts";

describe("a rate for each address", () => {
  it("allows a burst, then the rate, and says how long to wait", () => {
    const rates = new RateLimits({ perS: 2, burst: 3 });
    const at = (nowMs: number): number => rates.take("a", nowMs);
    assert.deepEqual([at(0), at(0), at(0), at(0)], [0, 0, 0, 1]);
    assert.equal(rates.take("b", 0), 0);
    assert.deepEqual([at(500), at(500), at(1_000)], [0, 1, 0]);
    assert.deepEqual([at(60_000), at(60_000), at(60_000), at(60_000)], [0, 0, 0, 1]);
    assert.equal(new RateLimits({ perS: 0.1, burst: 0.5 }).take("a", 0), 5);
    assert.equal(new RateLimits({ perS: Infinity, burst: Infinity }).take("a", 0), 0);
  });

  it("counts amounts", () => {
    const rates = new RateLimits({ perS: 10, burst: 100 });
    assert.deepEqual([rates.take("a", 0, 60), rates.take("a", 0, 60), rates.take("a", 0, 40)], [0, 2, 0]);
    assert.deepEqual([rates.take("a", 9_900, 100), rates.take("a", 10_000, 100)], [1, 0]);
  });

  it("is not used up by being refused", () => {
    const rates = new RateLimits({ perS: 1, burst: 1 });
    rates.take("a", 0);
    for (let n = 0; n < 100; n += 1) assert.equal(rates.take("a", 500), 1);
    assert.equal(rates.take("a", 1_000), 0);
  });

  it("is remembered for a bounded number of them, the latest", () => {
    const rates = new RateLimits({ perS: 1, burst: 1 });
    rates.take("busy", 0);
    for (let n = 0; n < MAX_RATED_ADDRESSES * 2; n += 1) {
      rates.take(String(n), 0);
      assert.equal(rates.take("busy", 0), 1);
    }
    assert.equal(rates.size, MAX_RATED_ADDRESSES);
    assert.equal(rates.take("0", 0), 0, "forgotten");
  });
});

describe("requests without a valid credential", () => {
  const rate = { perS: 1, burst: 2 };
  const unauthenticated = new TurnaboutError("unauthenticated", "no token");
  const codeOf = (error: unknown): string => (error instanceof TurnaboutError ? error.code : "?");

  it("are refused above the rate of their address, those with an invalid one by a rate of its own", () => {
    const refused: string[] = [];
    const callers = new AnonymousCallers({
      requests: rate,
      failures: rate,
      onRefused: (what) => refused.push(what),
    });
    const refusals = (hasCredential: boolean): string[] =>
      [1, 2, 3].map(() => codeOf(callers.refusal(unauthenticated, "192.0.2.1", hasCredential)));
    assert.deepEqual(refusals(true), ["unauthenticated", "unauthenticated", "rate_limited"]);
    assert.deepEqual(refusals(false), ["unauthenticated", "unauthenticated", "rate_limited"]);
    assert.throws(() => callers.admit("192.0.2.1"), { code: "rate_limited", retryAfterS: 1 });
    assert.doesNotThrow(() => callers.admit("192.0.2.2"));
    assert.deepEqual(refused, ["failed_credentials", "anonymous_requests", "anonymous_requests"]);
  });

  it("leave any other error as it is", () => {
    const callers = new AnonymousCallers({ requests: rate, failures: rate, onRefused: () => {} });
    const error = new TurnaboutError("not_allowed", "no");
    for (let n = 0; n < 5; n += 1) assert.equal(callers.refusal(error, "192.0.2.1", true), error);
  });
});

describe("log lines about failed requests", () => {
  it("are limited for each address and in all, and say how many were left out", () => {
    const lines: { suppressed?: number }[] = [];
    const log = new RefusalLog({ ...silentLogger, info: (fields: object) => lines.push(fields) });
    for (let n = 0; n < REFUSAL_LINES_BURST + 50; n += 1)
      log.info({ client: "192.0.2.1" }, "request refused");
    assert.ok(lines.length >= REFUSAL_LINES_BURST && lines.length < REFUSAL_LINES_BURST + 50);
    const left = REFUSAL_LINES_BURST + 50 - lines.length;
    log.info({ client: "192.0.2.2" }, "request refused");
    assert.equal(lines.at(-1)?.suppressed, left);
    for (let n = 0; n < 2 * MAX_REFUSAL_LINES_BURST; n += 1) {
      log.info({ client: `10.0.${n >> 8}.${n & 255}` }, "request refused");
    }
    assert.ok(lines.length < 2 * MAX_REFUSAL_LINES_BURST, `${lines.length} lines`);
  });
});
