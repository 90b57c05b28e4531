/** What a flood costs others: an honest caller's waiting, and the control plane's memory and loop delay. */
import { cpus } from "node:os";
import { MEMORY_CHECK_MS, MIN_GROWTH_BYTES } from "../../../src/cli/memory-return.ts";
import { FLOODS } from "../load/floods.ts";
import type { ProbeResult } from "../load/probe.ts";
import { ADMIN_TOKEN, API_PATH } from "../names.ts";
import { startRig } from "../rig.ts";
import type { Rig } from "../rig.ts";
import { Worker } from "../worker.ts";
import type { AgentsCalls } from "../workers/agents.ts";
import type { FloodCalls } from "../workers/flood.ts";
import type { ProbeCalls } from "../workers/probe.ts";
import type { SectionContext } from "./section.ts";

const PROBE = { path: API_PATH, token: ADMIN_TOKEN, perS: 50 } as const;
/** Of the section with honest others. */
const CROWD = { agents: 1_000, perS: 200 } as const;
/** Until what the flood has opened should be gone. */
const AFTER_MS = 2_000;
/** Until the memory of all floods should be given back: three checks. */
const RETURNED_MS = 3 * MEMORY_CHECK_MS;
const MIB = 1_048_576;

/** On a control plane with nothing else to do. */
export async function measureFlooded(context: SectionContext): Promise<void> {
  await using rig = await startRig();
  await measureFloods(rig, context);
}

/** With a thousand agents, and two hundred requests a second of others. */
export async function measureFloodedCrowd(context: SectionContext): Promise<void> {
  await using rig = await startRig();
  await using crowd = await Worker.start<AgentsCalls>("agents");
  await using others = await Worker.start<ProbeCalls>("probe");
  const count = Math.round(CROWD.agents * context.scale);
  await crowd.call("start", rig.port, "crowd", count);
  let isOver = false;
  const requests = (async () => {
    while (!isOver) await others.call("probe", { ...PROBE, port: rig.port, perS: CROWD.perS }, 1_000);
  })();
  await measureFloods(rig, context);
  isOver = true;
  await requests;
  context.note(`flooded: beside ${count} idle agents and ${CROWD.perS} requests a second of others`);
}

/** @returns resolves to the CPU that each process, and everything else on the machine, has used since */
async function startCpu(
  workers: Readonly<Record<string, Pick<Worker<object>, "call">>>,
): Promise<() => Promise<string>> {
  const read = async (): Promise<number[]> => {
    const own = await Promise.all(Object.values(workers).map((worker) => worker.call("usage")));
    return [...own.map(({ cpuUs }) => cpuUs / 1e6), busyS()];
  };
  const startedAt = performance.now();
  const before = await read();
  return async () => {
    const seconds = (await read()).map((after, index) => after - (before[index] ?? 0));
    const others = (seconds.pop() ?? 0) - seconds.reduce((sum, each) => sum + each, 0);
    const each = [...Object.keys(workers), "others"].map(
      (who, index) => `${who} ${(seconds[index] ?? others).toFixed(1)}`,
    );
    const ofS = (cpus().length * (performance.now() - startedAt)) / 1_000;
    return `CPU in s: ${each.join(", ")} of ${ofS.toFixed(1)}`;
  };
}

/** Seconds in which a core of the machine was busy. */
function busyS(): number {
  return cpus().reduce(
    (sum, { times: { user, nice, sys, irq } }) => sum + (user + nice + sys + irq) / 1_000,
    0,
  );
}

async function measureFloods(rig: Rig, context: SectionContext): Promise<void> {
  await using neighbour = await Worker.start<ProbeCalls>("probe");
  const run = (durationMs: number): Promise<ProbeResult> =>
    neighbour.call("probe", { ...PROBE, port: rig.port }, durationMs);
  await run(context.warmUpMs);
  const { rssBytes: atFirst } = await rig.controlPlane.call("usage");
  const names = Object.keys(FLOODS).filter((name) => name.includes(context.rows));
  if (names.length === 0) throw new Error(`no flood with ${JSON.stringify(context.rows)} in its name`);
  for (const name of names) {
    const idle = await run(context.runMs);
    await using flooding = await Worker.start<FloodCalls>("flood");
    const before = await rig.controlPlane.call("usage");
    await rig.controlPlane.call("watch");
    const cpu = await startCpu({ "control plane": rig.controlPlane, agent: rig.agent, flooder: flooding });
    await flooding.call("start", name, rig.port);
    const during = await run(context.runMs * 2);
    const worst = await rig.controlPlane.call("watched");
    const used = await cpu();
    await flooding.kill();
    await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
    const after = await rig.controlPlane.call("usage");
    const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
    context.add({
      metric: `p99 beside ${name}`,
      unit: "ms",
      value: during.p99Ms,
      baseline: idle.p99Ms,
      ratio: during.p99Ms / idle.p99Ms,
      budget: { of: "value", bound: "at most", limit: Math.round(Math.max(500, 5 * idle.p99Ms)) },
      note: [
        `median ${during.p50Ms.toFixed(0)} ms, worst ${during.maxMs.toFixed(0)} ms`,
        `${during.failed} of ${during.requests} failed`,
        `loop delay at most ${worst.loopDelayMs.toFixed(0)} ms`,
        used,
        `RSS ${mib(before.rssBytes)}, at most ${mib(worst.rssBytes)}, ${AFTER_MS / 1_000} s later ${mib(after.rssBytes)}`,
      ].join("; "),
    });
  }
  await new Promise((resolve) => setTimeout(resolve, RETURNED_MS));
  const { rssBytes: inTheEnd } = await rig.controlPlane.call("usage");
  context.add({
    metric: "memory behind all floods",
    unit: "MiB",
    value: inTheEnd / MIB,
    baseline: atFirst / MIB,
    ratio: inTheEnd / atFirst,
    budget: { of: "value", bound: "at most", limit: Math.round((atFirst + MIN_GROWTH_BYTES) / MIB) },
    note: `RSS before and ${RETURNED_MS / 1_000} s after them`,
  });
}
