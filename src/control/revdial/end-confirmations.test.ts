/** One PING for the ends that wait for it, and another for those that come while it is under way. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { EndConfirmations } from "./end-confirmations.ts";

describe("ends of data connections", () => {
  it("are confirmed by a PING that was sent behind them, whatever their number", async () => {
    const pings: (() => void)[] = [];
    const ends = new EndConfirmations((onAcknowledged) => pings.push(onAcknowledged));
    const confirmed: number[] = [];
    const end = (n: number): void => ends.confirm(() => confirmed.push(n));
    end(0);
    for (let n = 1; n <= 500; n += 1) end(n);
    assert.equal(pings.length, 1);
    pings[0]?.();
    await setImmediate();
    assert.deepEqual([pings.length, confirmed], [2, [0]]);
    pings[1]?.();
    await setImmediate();
    assert.equal(confirmed.length, 501);
    end(501);
    assert.equal(pings.length, 3);
  });
});
