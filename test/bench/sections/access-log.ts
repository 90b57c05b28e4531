/** The access log: what a line costs the control plane, beside one that writes none, and whether each request has exactly one. */
import { createReadStream, rmSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { tempPath } from "../../support/temp.ts";
import { ADMIN_TOKEN, API_PATH } from "../names.ts";
import { runInterleaved } from "../pairs.ts";
import type { Side } from "../pairs.ts";
import { comparePairs } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { AgentCalls } from "../workers/agent.ts";
import type { ControlPlaneCalls } from "../workers/control-plane.ts";
import type { LoadCalls } from "../workers/load.ts";
import type { TargetCalls } from "../workers/target.ts";
import type { SectionContext } from "./section.ts";

const CONNECTIONS = 32;
const REQUESTS = 100_000;
/** The difference is small beside what a shared machine does in two seconds. */
const SHORTER = 4;
/** Behind the last response: longer than lines wait to be written. */
const WRITTEN_MS = 1_000;

export async function measureAccessLog(context: SectionContext): Promise<void> {
  const path = tempPath(".log");
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(path, { force: true }));
  const target = stack.use(await Worker.start<TargetCalls>("target"));
  const load = stack.use(await Worker.start<LoadCalls>("load"));
  const { http } = await target.call("ports");
  // Both in one process: two of the same kind differ by more than what is measured.
  const controlPlane = stack.use(await Worker.start<ControlPlaneCalls>("control-plane"));
  const openSide = async (accessLog?: string): Promise<Side> => {
    const agent = stack.use(await Worker.start<AgentCalls>("agent"));
    const port = await controlPlane.call("listen", 0, undefined, accessLog);
    await agent.call("connect", port, { http });
    const options = { connections: CONNECTIONS, token: ADMIN_TOKEN, port, path: API_PATH };
    const handle = await load.call("openRequests", options);
    return { hops: [controlPlane], run: (durationMs) => load.call("run", handle, durationMs) };
  };
  const on = await openSide(path);
  let requests = 0;
  const counted: Side = {
    hops: on.hops,
    run: async (durationMs) => {
      const result = await on.run(durationMs);
      requests += result.requests;
      return result;
    },
  };
  const off = await openSide();
  // Short runs there and back: what comes first in a round is no better off, and a busy machine is so for both.
  const short = { ...context, pairs: context.pairs * SHORTER, runMs: context.runMs / SHORTER };
  const series = await runInterleaved(short, [counted, off, off, counted]);
  const of = (first: number, second: number) => {
    const both = [series[first], series[second]];
    return {
      perS: both.flatMap((each) => each?.perS ?? []),
      cpuUs: both.flatMap((each) => each?.cpuUs[0] ?? []),
    };
  };
  const [withLog, without] = [of(0, 3), of(1, 2)];
  while (requests < REQUESTS * context.scale) await counted.run(context.runMs);
  await new Promise((resolve) => setTimeout(resolve, WRITTEN_MS));
  const { lines, distinct, failed } = await countLines(path);

  const cpu = comparePairs(withLog.cpuUs, without.cpuUs);
  context.add({
    metric: `${CONNECTIONS} connections, control plane CPU a request with the log`,
    unit: "µs",
    ...cpu,
    budget: { of: "ratio", bound: "at most", limit: 1.05 },
  });
  context.add({
    metric: `${CONNECTIONS} connections, requests with the log`,
    unit: "req/s",
    ...comparePairs(withLog.perS, without.perS),
  });
  context.add({
    metric: "lines for each request",
    unit: "",
    value: lines / requests,
    budget: { of: "value", bound: "at most", limit: 1 },
    note: `${requests} requests, ${lines} lines, ${distinct} ids, ${failed} not "ok", ${statSync(path).size} bytes`,
  });
  if (lines !== requests || distinct !== requests)
    throw new Error(`${requests} requests, but ${lines} lines with ${distinct} ids`);
  context.note(
    "access-log: value: --access-log FILE; baseline: off; two control planes in one process, each with an agent of its own",
  );
}

async function countLines(path: string): Promise<{ lines: number; distinct: number; failed: number }> {
  const ids = new Set<string>();
  let [lines, failed] = [0, 0];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { id, code } = JSON.parse(line) as { id: string; code: string };
    ids.add(id);
    lines += 1;
    if (code !== "ok") failed += 1;
  }
  return { lines, distinct: ids.size, failed };
}
