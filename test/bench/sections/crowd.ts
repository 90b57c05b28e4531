/** Many idle agents: what they cost in memory, and how soon they are back after the control plane was killed. */
import { affordableSockets } from "../open-files.ts";
import { Worker } from "../worker.ts";
import type { AgentsCalls } from "../workers/agents.ts";
import type { ControlPlaneCalls } from "../workers/control-plane.ts";
import type { SectionContext } from "./section.ts";

const AGENT_PROCESSES = 4;
/** How long the control plane is away. */
const DOWN_MS = 1_000;
/** Agents before the crowd. */
const FIRST = 20;

/** V8's young generation grows to 32 MB and more in the rush of connects, and stays: with this it cannot. */
const SMALL_YOUNG_GENERATION = "--max-semi-space-size=4";

export async function measureMemory(context: SectionContext): Promise<void> {
  const count = crowdOf(4_000, context);
  await measureConnections(context, count, []);
  await measureConnections(context, count, [SMALL_YOUNG_GENERATION]);
}

async function measureConnections(context: SectionContext, count: number, flags: string[]): Promise<void> {
  await using controlPlane = await Worker.start<ControlPlaneCalls>("control-plane", [
    "--expose-gc",
    ...flags,
  ]);
  const port = await controlPlane.call("listen", 0);
  // They pay for code that is compiled once.
  await using first = await Worker.start<AgentsCalls>("agents");
  await first.call("start", port, "first", FIRST);
  await controlPlane.call("untilConnected", FIRST);
  const before = await controlPlane.call("settledUsage");
  await using stack = new AsyncDisposableStack();
  await startCrowd(stack, port, count);
  await controlPlane.call("untilConnected", count + FIRST);
  const after = await controlPlane.call("settledUsage");
  const each = (figure: "rssBytes" | "heapUsedBytes" | "externalBytes") =>
    (after[figure] - before[figure]) / count / 1_024;
  context.add({
    metric: ["RSS per idle connection", `${count} agents`, ...flags].join(", "),
    unit: "KiB",
    value: each("rssBytes"),
    budget: { of: "value", bound: "at most", limit: 40 },
    note: `of it JS heap ${each("heapUsedBytes").toFixed(1)}, buffers ${each("externalBytes").toFixed(1)}; after gc`,
  });
}

export async function measureStorm(context: SectionContext): Promise<void> {
  const count = crowdOf(2_000, context);
  const port = await freePort();
  // Loaded before the kill: two thousand agents on the same cores would starve its start, which is not the tunnel's.
  await using restarted = await Worker.start<ControlPlaneCalls>("control-plane");
  await using stack = new AsyncDisposableStack();
  await using old = await Worker.start<ControlPlaneCalls>("control-plane");
  await old.call("listen", port);
  await startCrowd(stack, port, count);
  await old.call("untilConnected", count);
  await old.kill();
  await new Promise((resolve) => setTimeout(resolve, DOWN_MS));
  await restarted.call("listen", port);
  const cpuBeforeUs = (await restarted.call("usage")).cpuUs;
  const backMs = await restarted.call("untilConnected", count);
  const cpuUs = (await restarted.call("usage")).cpuUs - cpuBeforeUs;
  context.add({
    metric: `${count} agents back after kill -9 and restart`,
    unit: "s",
    value: backMs / 1_000,
    budget: { of: "value", bound: "at most", limit: 10 },
    note: `from its listening again, ${DOWN_MS / 1_000} s after the kill; it took ${(cpuUs / count / 1_000).toFixed(2)} ms of its CPU an agent`,
  });
}

function crowdOf(wanted: number, context: SectionContext): number {
  const scaled = Math.round(wanted * context.scale);
  const count = affordableSockets(scaled);
  if (count < scaled) context.note(`only ${count} instead of ${scaled} agents: ulimit -n is too low`);
  return count;
}

async function startCrowd(stack: AsyncDisposableStack, port: number, count: number): Promise<void> {
  const share = Math.ceil(count / AGENT_PROCESSES);
  const workers = await Promise.all(
    Array.from({ length: AGENT_PROCESSES }, async () => stack.use(await Worker.start<AgentsCalls>("agents"))),
  );
  await Promise.all(
    workers.map((worker, index) =>
      worker.call("start", port, `crowd-${index}`, Math.min(share, count - index * share)),
    ),
  );
}

/** Free a moment ago: the restarted control plane needs a port that the agents know. */
async function freePort(): Promise<number> {
  await using probe = await Worker.start<ControlPlaneCalls>("control-plane");
  return await probe.call("listen", 0);
}
