import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import { retryAfterMs } from "../connection/reconnect-delay.ts";
import { REFUSED_BACKOFF_CAP_MS } from "../limits.ts";
import { upgradeRefused } from "./upgrade-refused.ts";

function refused(code: string, retryAfter?: string): ReturnType<typeof upgradeRefused> {
  const headers = {
    "turnabout-version": "1",
    ...(retryAfter !== undefined && { "retry-after": retryAfter }),
  };
  const body = Readable.from([Buffer.from(JSON.stringify({ error: { code, message: "x" } }))]);
  return upgradeRefused({ status: 429, headers, body }, "ptth");
}

describe("Retry-After of a refusal", () => {
  it("is what the agent waits for at least, and at most twice as long", async () => {
    for (const code of ["rate_limited", "relay_full"]) {
      const waitMs = retryAfterMs(await refused(code, "7"));
      assert.ok(waitMs >= 7_000 && waitMs <= 14_000, String(waitMs));
    }
    assert.equal(retryAfterMs(await refused("overloaded", "7")), 0);
  });

  it("makes no agent sleep for long, whatever it is", async () => {
    for (const value of ["999999999", "3600"]) {
      const waitMs = retryAfterMs(await refused("rate_limited", value));
      assert.ok(waitMs >= REFUSED_BACKOFF_CAP_MS && waitMs <= 2 * REFUSED_BACKOFF_CAP_MS, String(waitMs));
    }
  });

  it("counts only if it is a number of seconds", async () => {
    const { retryAfterS } = ERROR_TABLE.rate_limited;
    for (const value of [
      "",
      "-5",
      "1e9",
      "1.5",
      "NaN",
      "Infinity",
      "99999999999",
      "Fri, 01 Jan 2100 00:00:00 GMT",
    ]) {
      assert.equal((await refused("rate_limited", value)).retryAfterS, retryAfterS, value);
    }
    assert.equal((await refused("rate_limited", "0")).retryAfterS, 0);
  });
});
