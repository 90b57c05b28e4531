/** compose/observability names only metrics that a control plane and an agent have. `npm run e2e` runs Prometheus on it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { helix } from "../../src/helix/helix.ts";
import { call } from "../support/http.ts";
import { metricNames, namesInPromql } from "../support/metrics.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { OBSERVABILITY, readAlerts, readDashboard } from "../support/observability.ts";
import { RUNNER, startSystem } from "../support/system.ts";

afterEach(() => assertNothingOpen());

/** Of PromQL, and what Prometheus itself has. */
const KNOWN_WORDS = new Set([
  "and",
  "histogram_quantile",
  "increase",
  "min",
  "min_over_time",
  "or",
  "rate",
  "sum",
  "time",
  "up",
]);

/** Names that neither PromQL nor a scrape has. A histogram's are those of its parts. */
function strangers(expression: string, scraped: ReadonlySet<string>): string[] {
  return [...namesInPromql(expression)].filter((name) => {
    if (KNOWN_WORDS.has(name) || scraped.has(name)) return false;
    return !scraped.has(name.replace(/_(?:bucket|count|sum)$/, ""));
  });
}

describe("compose/observability", () => {
  it("names only metrics that a real scrape has", async () => {
    await using system = await startSystem({ controlPlane: { extensions: [helix()] } });
    const control = await call(`${system.url}/metrics`);
    const agent = await call(`${system.url}/api/v1/runners/${RUNNER}/metrics`);
    const scraped = new Set([...metricNames(control.body), ...metricNames(agent.body)]);
    assert.ok(scraped.size > 50);
    const { queries, variables } = readDashboard();
    for (const { alert, expr } of readAlerts()) assert.deepEqual(strangers(expr, scraped), [], alert);
    for (const { panel, expr } of queries) assert.deepEqual(strangers(expr, scraped), [], panel);
    for (const expr of variables) assert.deepEqual(strangers(expr, scraped), []);
    assert.equal(variables.length, 3);
    assert.deepEqual(strangers('sum by (a) (rate(turnabout_no_such_total{b="c"}[5m]))', scraped), [
      "turnabout_no_such_total",
    ]);
  });

  it("has a unit test of each alert", () => {
    const tests = readFileSync(join(OBSERVABILITY, "alerts.test.yaml"), "utf8");
    const fired = [...tests.matchAll(/\{alertname="(\w+)"\}/g)].map(([, name]) => name);
    assert.deepEqual(
      fired,
      readAlerts().map(({ alert }) => alert),
    );
  });
});
