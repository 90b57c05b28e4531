import assert from "node:assert/strict";
import { it } from "node:test";
import { changes } from "./compare.ts";
import type { Row, Run } from "./report.ts";

const MACHINE = { cpu: "a", cores: 2, node: "v26" };

function run(rows: Omit<Row, "section">[], machine: Omit<Run, "rows"> = MACHINE): Run {
  return { ...machine, rows: rows.map((row) => ({ section: "s", ...row })) };
}

it("a run is worse than a former one by its ratios, and by its other figures on the same machine only", () => {
  const before = run([
    { metric: "slower", unit: "req/s", value: 1_000, ratio: 0.8 },
    { metric: "another machine's load", unit: "req/s", value: 1_000, ratio: 0.8 },
    { metric: "larger", unit: "MiB", value: 100 },
    { metric: "faster", unit: "ms", value: 9 },
    { metric: "within the noise", unit: "ms", value: 9 },
    { metric: "gone", unit: "ms", value: 9 },
  ]);
  const rows: Omit<Row, "section">[] = [
    { metric: "slower", unit: "req/s", value: 1_000, ratio: 0.4 },
    { metric: "another machine's load", unit: "req/s", value: 300, ratio: 0.8 },
    { metric: "larger", unit: "MiB", value: 130 },
    { metric: "faster", unit: "ms", value: 3 },
    { metric: "within the noise", unit: "ms", value: 10 },
    { metric: "new", unit: "ms", value: 10 },
  ];
  const namesOf = (now: Run): [string, boolean][] =>
    changes(before, now).map(({ metric, gain }) => [metric, gain < 1]);
  assert.deepEqual(namesOf(run(rows)), [
    ["s: slower", true],
    ["s: larger", true],
    ["s: faster", false],
  ]);
  assert.deepEqual(namesOf(run(rows, { ...MACHINE, cpu: "b" })), [["s: slower", true]]);
});

it("a budget says whether more is better", () => {
  const budget = { of: "ratio", bound: "at most", limit: 2 } as const;
  const before = run([{ metric: "p99", unit: "req/s", value: 1, ratio: 1, budget }]);
  const now = run([{ metric: "p99", unit: "req/s", value: 1, ratio: 2, budget }]);
  assert.equal(changes(before, now)[0]?.gain, 0.5);
});
