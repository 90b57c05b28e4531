import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { METRICS_MAX_TARGETS, TARGET_HEALTH_INTERVAL_MS } from "../limits.ts";
import { createAgentMetrics } from "../metrics.ts";
import { TargetTable } from "./target-table.ts";
import type { OpenTarget } from "./target-table.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

const RUNNER = {
  id: "r",
  targets: [{ name: "t", address: { kind: "tcp", host: "h", port: 1 }, http: "auto" }],
} as const;
const REFUSED = new TurnaboutError("target_refused", "test");

function start(): { table: TargetTable; reports: boolean[]; connect: (error?: TurnaboutError) => void } {
  const reports: boolean[] = [];
  const table = new TargetTable(createAgentMetrics(), (_destination, healthy) => reports.push(healthy));
  table.add({ id: RUNNER.id, targets: [...RUNNER.targets] });
  const connect = (error?: TurnaboutError): void => {
    const opened = open(table);
    opened.connected(error);
    opened.close();
  };
  return { table, reports, connect };
}

function open(table: TargetTable): OpenTarget {
  const opened = table.open({ runner: "r", target: "t" });
  return typeof opened === "string" ? assert.fail(opened) : opened;
}

describe("a target's health", () => {
  it("is reported at once when it changes", () => {
    const { reports, connect } = start();
    connect();
    assert.deepEqual(reports, []);
    connect(REFUSED);
    connect(REFUSED);
    assert.deepEqual(reports, [false]);
    mock.timers.tick(TARGET_HEALTH_INTERVAL_MS);
    connect();
    assert.deepEqual(reports, [false, true]);
  });

  it("that changes all the time is reported once in an interval, and the last state always", () => {
    const { table, reports, connect } = start();
    for (let n = 0; n < 1_001; n += 1) connect(n % 2 === 0 ? undefined : REFUSED);
    assert.deepEqual([reports, table.unhealthy().length], [[false], 1]);
    mock.timers.tick(TARGET_HEALTH_INTERVAL_MS);
    assert.deepEqual([reports, table.unhealthy().length], [[false, true], 0]);
    mock.timers.tick(10 * TARGET_HEALTH_INTERVAL_MS);
    assert.equal(reports.length, 2);
  });

  it("is that of the target that is there now", () => {
    const { table, reports } = start();
    const before = open(table);
    table.add({ id: RUNNER.id, targets: [...RUNNER.targets] });
    before.connected(REFUSED);
    table.remove("r");
    assert.deepEqual(reports, []);
  });
});

describe("streams by target in the metrics", () => {
  it("have a bounded number of names, although containers come and go", () => {
    const metrics = createAgentMetrics();
    const table = new TargetTable(metrics, () => {});
    const [target] = RUNNER.targets;
    for (let n = 0; n < 1_000; n += 1) {
      table.add({ id: "r", targets: [{ ...target, name: `t${n}` }] });
      const opened = table.open({ runner: "r", target: `t${n}` });
      if (typeof opened !== "string") opened.close();
      table.remove("r");
    }
    const names = [...metrics.streams.all()].map(({ name }) => name);
    assert.ok(names.length <= METRICS_MAX_TARGETS && names.includes("t999"), String(names.length));
  });
});
