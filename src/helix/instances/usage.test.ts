import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_FIGURE_AGE_MS } from "../limits.ts";
import type { Instance } from "../store/instances.ts";
import { alertLevel, fullest, isCurrent, isNearlyFull, rises } from "./usage.ts";

describe("alertLevel", () => {
  it("is warning from 80, critical from 95 percent, and ok if it is unknown", () => {
    const percents = [0, 79.99, 80, 94.99, 95, 100, null, undefined];
    assert.deepEqual(percents.map(alertLevel), [
      "ok",
      "ok",
      "warning",
      "warning",
      "critical",
      "critical",
      "ok",
      "ok",
    ]);
  });

  it("rises upwards only", () => {
    const levels = ["ok", "warning", "critical"] as const;
    const rising = levels.flatMap((from) =>
      levels.filter((to) => rises(from, to)).map((to) => `${from} ${to}`),
    );
    assert.deepEqual(rising, ["ok warning", "ok critical", "warning critical"]);
  });
});

describe("fullest", () => {
  it("is the one with the most in use, of those that report it", () => {
    const all = [{ used_percent: null }, { used_percent: 0 }, { used_percent: 7 }, { used_percent: 3 }];
    assert.equal(fullest(all), all[2]);
    assert.equal(fullest(all.slice(0, 2)), all[1]);
    assert.equal(fullest(all.slice(0, 1)), undefined);
    assert.equal(fullest([]), undefined);
  });
});

describe("figures", () => {
  it("count for a while, also where the clock was set back", () => {
    const now = 10_000_000;
    for (const [at, expected] of [
      [undefined, false],
      [now, true],
      [now - MAX_FIGURE_AGE_MS, true],
      [now - MAX_FIGURE_AGE_MS - 1, false],
      [now + MAX_FIGURE_AGE_MS + 1, false],
    ] as const) {
      assert.equal(isCurrent(at, now), expected, String(at));
    }
  });

  it("of a critical disk or a critical GPU keep sessions away, each while they are current", () => {
    const now = 10_000_000;
    const old = now - MAX_FIGURE_AGE_MS - 1;
    for (const [diskAlert, diskReportedAtMs, gpuAlert, gpusReportedAtMs, expected] of [
      ["ok", now, "ok", now, false],
      ["warning", now, "warning", now, false],
      ["critical", now, "ok", now, true],
      ["ok", now, "critical", now, true],
      ["critical", old, "ok", now, false],
      ["ok", now, "critical", old, false],
      ["critical", old, "critical", now, true],
      ["critical", undefined, "critical", undefined, false],
    ] as const) {
      const instance = { diskAlert, diskReportedAtMs, gpuAlert, gpusReportedAtMs } as Instance;
      assert.equal(isNearlyFull(instance, now), expected, JSON.stringify(instance));
    }
  });
});
