/** A real Prometheus reads a real control plane, and its agents through the tunnel; its alerts fire, and the dashboard has data. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, it } from "node:test";
import { closedAtTheEnd } from "../support/cleanup.ts";
import { startAgent, startServe } from "../support/commands.ts";
import { call, targetUrl } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { OBSERVABILITY, readDashboard } from "../support/observability.ts";
import { missing, partPath } from "../support/parts.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { refusingAddress, startHttpTarget } from "../support/target.ts";
import { startPrometheus } from "./services/prometheus.ts";
import type { Samples } from "./services/prometheus.ts";

afterEach(() => assertNothingOpen());

function promtool(
  args: readonly string[],
  cwd: string = OBSERVABILITY,
): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(partPath("promtool"), args, { cwd, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

describe("the alert rules", { skip: missing("promtool") }, () => {
  it("are valid, and fire in their unit tests where there is cause and nowhere else", () => {
    const checked = promtool(["check", "rules", "alerts.yaml"]);
    assert.equal(checked.status, 0, checked.output);
    const syntax = promtool(["check", "config", "--syntax-only", "prometheus.yml"]);
    assert.equal(syntax.status, 0, syntax.output);
    const tested = promtool(["test", "rules", "alerts.test.yaml"]);
    assert.equal(tested.status, 0, tested.output);
  });

  it("would fail their unit tests with other thresholds", () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "turnabout-rules-"));
    closedAtTheEnd(async () => rmSync(folder, { recursive: true }));
    cpSync(OBSERVABILITY, folder, { recursive: true });
    const rules = readFileSync(path.join(folder, "alerts.yaml"), "utf8");
    for (const [right, wrong] of [
      ["> 0.05", "> 0.5"],
      ["== 0\n", "== 5\n"],
      ['event="grace-expired"', 'event="left"'],
      ["> 0.25", "> 0.001"],
      ['reason!="missing"', 'reason!=""'],
    ] as const) {
      assert.ok(rules.includes(right), right);
      writeFileSync(path.join(folder, "alerts.yaml"), rules.replaceAll(right, wrong));
      assert.notEqual(promtool(["test", "rules", "alerts.test.yaml"], folder).status, 0, wrong);
    }
  });
});

/** What nothing has happened for in this test. */
const WITHOUT_DATA = new Set([
  "Targets that are down", // until the alert; then it has
  "Refused shares",
  "Until certificates end",
  "Discovery",
  "Failed attempts to connect",
]);

describe("a real Prometheus", { skip: missing("prometheus") }, () => {
  it("has the series of both ends, fires for a target and an agent that are down, and resolves", async () => {
    await using serve = await startServe(["--grace", "2"]);
    const target = await startHttpTarget((_request, response) => response.end("hello"));
    const dead = await refusingAddress();
    const args = ["--target", `dead=${dead}`];
    const agent = startAgent(serve.url, "host-1", `web=${target.address}`, args);
    await serve.logged("agent connected");
    const other = startAgent(serve.url, "host-2", `web=${target.address}`);
    await using prometheus = await startPrometheus({
      controlPlane: `127.0.0.1:${serve.port}`,
      token: ADMIN_TOKEN,
      agents: ["host-1", "host-2"],
    });
    await prometheus.queryUntil("up == 1", (found) => found.length === 3);

    const call200 = async (): Promise<void> => {
      assert.equal((await call(targetUrl(serve.url, "host-1", "web"))).status, 200);
    };
    await call200();
    const requests = 'turnabout_target_requests_total{runner="host-1",target="web",code="ok"}';
    await prometheus.queryUntil(`${requests} >= 1`);
    for (let n = 0; n < 20; n += 1) await call200();
    await prometheus.queryUntil(`rate(${requests}[10s]) > 0`);
    assert.deepEqual(await prometheus.query('ALERTS{alertname!="TurnaboutTargetsDown"}'), []);

    assert.equal((await call(targetUrl(serve.url, "host-1", "dead"))).status, 502);
    assert.equal((await call(targetUrl(serve.url, "host-1", "web"), { token: "wrong" })).status, 401);
    const firing = (alert: string): string => `ALERTS{alertstate="firing",alertname="${alert}"}`;
    const [down] = await prometheus.queryUntil(firing("TurnaboutTargetsDown"));
    assert.equal(down?.metric["severity"], "warning");
    const named = await prometheus.query("turnabout_target_up == 0");
    assert.deepEqual(
      named.map(({ metric }) => [metric["runner"], metric["target"]]),
      [["host-1", "dead"]],
    );

    const empty: string[] = [];
    for (const { panel, expr } of readDashboard().queries) {
      const found: Samples = await prometheus.query(expr);
      if (found.length === 0 && !WITHOUT_DATA.has(panel)) empty.push(`${panel}: ${expr}`);
    }
    assert.deepEqual(empty, []);

    await other.end("SIGKILL");
    await prometheus.queryUntil(firing("TurnaboutRunnersAway"));
    const [away] = await prometheus.queryUntil(firing("TurnaboutAgentDown"));
    assert.equal(away?.metric["instance"], "host-2");
    const again = startAgent(serve.url, "host-2", `web=${target.address}`);
    await prometheus.queryUntil(firing("TurnaboutRunnersAway"), (found) => found.length === 0);
    for (const process of [agent, again]) await process.end();
    await target.close();
  });
});
