import assert from "node:assert/strict";
import { it, mock } from "node:test";
import { silentLogger } from "../../wire/log.ts";
import { REFUSALS_LOGGED_PER_MINUTE } from "../limits.ts";
import { RateLimitedLog } from "./rate-limited-log.ts";

it("logs a bounded number of refusals a minute, and counts the others", () => {
  let nowMs = 1_000_000;
  const clock = mock.method(performance, "now", () => nowMs);
  const lines: object[] = [];
  const refusals = new RateLimitedLog({ ...silentLogger, warn: (fields: object) => lines.push(fields) });
  for (let count = 0; count < 1_000; count += 1) refusals.warn({ count }, "agent not admitted");
  assert.equal(lines.length, REFUSALS_LOGGED_PER_MINUTE);
  nowMs += 60_000;
  refusals.warn({ count: 1_000 }, "agent not admitted");
  assert.deepEqual(lines.at(-1), { count: 1_000, suppressed: 1_000 - REFUSALS_LOGGED_PER_MINUTE });
  clock.mock.restore();
});
