/** docs/operations.md has every limit, option, variable and metric of the code, and no other. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CHECKS } from "../../src/agent/check/finding.ts";
import * as checksLimits from "../../src/agent/check/limits.ts";
import * as agentLimits from "../../src/agent/limits.ts";
import { createAgentMetrics } from "../../src/agent/metrics.ts";
import type { Command } from "../../src/cli/command.ts";
import { agent } from "../../src/cli/commands/agent.ts";
import { check } from "../../src/cli/commands/check.ts";
import { demo } from "../../src/cli/commands/demo.ts";
import { revdialClient } from "../../src/cli/commands/revdial-client.ts";
import { serve } from "../../src/cli/commands/serve.ts";
import { token } from "../../src/cli/commands/token.ts";
import { upgrade } from "../../src/cli/commands/upgrade.ts";
import { wolfRevdialClient } from "../../src/cli/commands/wolf-revdial-client.ts";
import * as handoverLimits from "../../src/cli/handover/limits.ts";
import * as helixLimits from "../../src/helix/limits.ts";
import { registerHelixMetrics } from "../../src/helix/metrics.ts";
import * as apiLimits from "../../src/control/api/limits.ts";
import * as liveLimits from "../../src/control/api/live/limits.ts";
import * as connectionLimits from "../../src/control/connections/limits.ts";
import * as controlLimits from "../../src/control/limits.ts";
import * as figureLimits from "../../src/control/figures/limits.ts";
import * as historyLimits from "../../src/control/history/limits.ts";
import { RequestFigures } from "../../src/control/figures/request-figures.ts";
import { createControlMetrics } from "../../src/control/metrics.ts";
import * as http2TargetLimits from "../../src/control/http2-target/limits.ts";
import * as proxyLimits from "../../src/control/proxy/limits.ts";
import * as recordsLimits from "../../src/control/records/limits.ts";
import * as revdialLimits from "../../src/control/revdial/limits.ts";
import { TunnelFigures } from "../../src/control/registry/tunnel-figures.ts";
import * as shareLimits from "../../src/control/shares/limits.ts";
import { Commits } from "../../src/control/store/commits.ts";
import * as storeLimits from "../../src/control/store/limits.ts";
import * as telemetryLimits from "../../src/telemetry/limits.ts";
import * as wireLimits from "../../src/wire/limits.ts";
import { readDocument, sections, tableRows } from "./markdown.ts";

const text = readDocument("docs/operations.md");
const parts = new Map([...sections(text, 2), ...sections(text, 3)]);

function part(heading: string): string {
  return parts.get(heading) ?? assert.fail(`no heading ${heading}`);
}

/** Names in backquotes in the first column. */
function namesIn(markdown: string): string[] {
  return tableRows(markdown).flatMap(([first = ""]) =>
    [...first.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
  );
}

const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 * 1024,
  s: 1_000,
  ms: 1,
};

/** `2 MiB`, `10 s`, `1,000` → the number that the constant is. */
function parseValue(value: string): number {
  const [, digits = "", unit] = /^([\d,.]+)(?: (KiB|MiB|s|ms))?$/.exec(value) ?? [];
  assert.notEqual(digits, "", `not a value: ${value}`);
  return Number(digits.replaceAll(",", "")) * (unit === undefined ? 1 : (UNITS[unit] ?? Number.NaN));
}

function checkLimits(heading: string, constants: Readonly<Record<string, unknown>>): void {
  const rows = tableRows(part(heading)).filter(([name]) => name !== "constant");
  const documented = rows.map(([name = "", value = ""]): [string, number] => [
    name.replaceAll("`", ""),
    parseValue(value),
  ]);
  assert.deepEqual(Object.fromEntries(documented), { ...constants });
}

/** Option names of a command's help, without their dashes. */
function optionsOf(help: string): Set<string> {
  const lines = help.split("\n").filter((line) => /^ {2}-/.test(line));
  const named = lines.flatMap((line) => [...line.matchAll(/(?:^ {2}|[ [])--?([a-z][a-z-]+)/g)]);
  return new Set(named.map((match) => match[1] ?? ""));
}

function checkOptions(command: Command): void {
  const documented = [
    ...namesIn(part(`\`${command.name}\``)),
    ...namesIn(part("Options of every long-running command")),
  ].flatMap((cell) => [...cell.matchAll(/^--?([a-z][a-z-]+)/g)].map((match) => match[1] ?? ""));
  const expected = optionsOf(command.help);
  if (command === token || command === upgrade)
    for (const shared of ["log-level", "log-format"]) expected.add(shared);
  assert.deepEqual(new Set(documented), expected, command.name);
}

async function namesOf(registry: { getMetricsAsJSON(): Promise<{ name: string }[]> }): Promise<string[]> {
  return (await registry.getMetricsAsJSON()).map(({ name }) => name);
}

/** Those of the agent are in the agent's table. */
function checkOwnOptions(): void {
  const documented = namesIn(part("`turnabout check`")).filter((cell) => cell.startsWith("--"));
  const expected = optionsOf(check.help).difference(optionsOf(agent.help));
  assert.deepEqual(new Set(documented.map((cell) => cell.slice(2).replace(/ .*/, ""))), expected);
}

describe("docs/operations.md", () => {
  it("has the limits of both ends", () => checkLimits("Both ends (`src/wire/limits.ts`)", wireLimits));
  it("has the agent's limits", () => checkLimits("Agent (`src/agent/limits.ts`)", agentLimits));
  it("has the limits of checks", () => checkLimits("Checks (`src/agent/check/limits.ts`)", checksLimits));
  it("has every check, and no other", () => {
    const table = part("`turnabout check`");
    assert.deepEqual(
      namesIn(table).filter((name) => !name.startsWith("--")),
      [...CHECKS],
    );
  });
  it("has the control plane's limits", () =>
    checkLimits(
      "Control plane (`src/control/limits.ts`, and `limits.ts` in `api`, `api/live`, `http2-target`, `proxy` and `store`)",
      {
        ...controlLimits,
        ...apiLimits,
        ...liveLimits,
        ...http2TargetLimits,
        ...proxyLimits,
        ...storeLimits,
      },
    ));

  it("has the limits of one caller's connection", () =>
    checkLimits("One caller's connection (`src/control/connections/limits.ts`)", connectionLimits));

  it("has the limits of the access log", () =>
    checkLimits("Access log (`src/control/records/limits.ts`)", recordsLimits));

  it("has the limits of tracing", () => checkLimits("Tracing (`src/telemetry/limits.ts`)", telemetryLimits));

  it("has the limits of the history", () =>
    checkLimits("History (`src/control/history/limits.ts`)", historyLimits));

  it("has the limits of the metrics", () =>
    checkLimits("Metrics of the control plane (`src/control/figures/limits.ts`)", figureLimits));

  it("has the limits of RevDial clients", () =>
    checkLimits("RevDial clients (`src/control/revdial/limits.ts`)", revdialLimits));

  it("has the limits of upgrades", () =>
    checkLimits("Upgrades (`src/cli/handover/limits.ts`)", handoverLimits));
  it("has the shares of callers", () =>
    checkLimits("Fair shares (`src/control/shares/limits.ts`)", shareLimits));

  it("has Helix's limits", () => checkLimits("Helix (`src/helix/limits.ts`)", helixLimits));

  it("has every option of every command, and no other", () => {
    for (const command of [serve, upgrade, agent, token, demo, revdialClient, wolfRevdialClient])
      checkOptions(command);
    checkOwnOptions();
  });

  it("has every environment variable that a command's help names", () => {
    for (const { name, help } of [serve, agent, demo, wolfRevdialClient]) {
      for (const [variable] of help.matchAll(/\b[A-Z]+_[A-Z_]+\b/g))
        assert.ok(text.includes(`\`${variable}\``), `${name}: ${variable}`);
    }
  });

  it("has every metric, and no other", async () => {
    const nothing = (): number => 0;
    const control = createControlMetrics({
      connections: nothing,
      waitingDials: nothing,
      streams: nothing,
      unreadBytes: nothing,
      accessLogDropped: nothing,
      runners: () => ({}),
      certificateExpiries: () => ({}),
      storeWritable: () => true,
      unsavedChanges: nothing,
      store: new Commits(),
      requests: new RequestFigures(() => false),
      isUp: () => true,
      targets: () => ({}),
      refusedCredentials: () => ({}),
      tunnels: new TunnelFigures(new Set()),
    });
    registerHelixMetrics(control.registry, {
      diskUsedPercents: () => ({}),
      gpuMemoryUsedPercents: () => ({}),
    });
    const expected = new Set([
      ...(await namesOf(control.registry)),
      ...(await namesOf(createAgentMetrics().registry)),
    ]);
    const documented = namesIn(part("Metrics")).filter((name) => /^(?:turnabout|process|nodejs)_/.test(name));
    assert.deepEqual(documented.toSorted(), [...expected].toSorted());
  });
});
