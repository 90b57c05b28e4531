import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Registry } from "prom-client";
import { BoundedCounts } from "./bounded-counts.ts";
import { DurationHistogram } from "./duration-histogram.ts";
import { Durations } from "./durations.ts";
import { registerProcessMetrics } from "./process-metrics.ts";

function value(text: string, series: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return Number((line ?? assert.fail(`no ${series} in ${text}`)).split(" ")[1]);
}

describe("a histogram of durations", () => {
  it("is exposed with cumulative buckets, a bound included, and what is above all of them", async () => {
    const registry = new Registry();
    const durations = new Durations([0.01, 0.1]);
    for (const ms of [1, 10, 11, 5_000]) durations.observeMs(ms);
    new DurationHistogram({
      name: "d_seconds",
      help: "d",
      registers: [registry],
      labelNames: ["a"],
      series: () => [[{ a: "x" }, durations]],
    });
    const text = await registry.metrics();
    assert.equal(value(text, 'd_seconds_bucket{le="0.01",a="x"}'), 2);
    assert.equal(value(text, 'd_seconds_bucket{le="0.1",a="x"}'), 3);
    assert.equal(value(text, 'd_seconds_bucket{le="+Inf",a="x"}'), 4);
    assert.equal(value(text, 'd_seconds_count{a="x"}'), 4);
    assert.equal(value(text, 'd_seconds_sum{a="x"}'), 5.022);
    const [metric] = await registry.getMetricsAsJSON();
    assert.deepEqual([metric?.type, metric?.values.length], ["histogram", 5]);
  });
});

describe("bounded counts", () => {
  it("count further names as others, and take new ones when others have gone", () => {
    const counts = new BoundedCounts(2);
    for (const name of ["a", "b", "c", "a", "other"]) counts.add(name, "ok");
    const all = (): [string, number][] => [...counts.all()].map(({ name, count }) => [name, count]);
    assert.deepEqual(all(), [
      ["a", 2],
      ["b", 1],
      ["other", 2],
    ]);
    counts.retain(new Set(["b"]));
    counts.add("c", "ok");
    assert.deepEqual(Object.fromEntries(all()), { b: 1, other: 2, c: 1 });
  });
});

describe("the figures of the process", () => {
  it("are the same in every registry, and see a late event loop without being reset by a reading", async () => {
    const [first, second] = [new Registry(), new Registry()];
    registerProcessMetrics(first);
    registerProcessMetrics(second);
    await pause(200); // the loop has been looked at
    const until = performance.now() + 300;
    while (performance.now() < until);
    await pause(200);
    for (const registry of [first, second, first]) {
      const text = await registry.metrics();
      assert.ok(value(text, "nodejs_eventloop_lag_max_seconds") >= 0.2);
      assert.ok(value(text, "process_resident_memory_bytes") > 1e6);
      assert.ok(value(text, "process_cpu_seconds_total") > 0);
    }
    const before = value(await first.metrics(), "nodejs_eventloop_active_seconds_total");
    assert.ok(before >= 0.3);
  });
});
