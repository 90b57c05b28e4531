/** Interleaved runs of several sides: a shared machine is noisy, and neighbours in time share its moods. */
import type { RequestResult } from "./load/requests.ts";
import type { SectionContext } from "./sections/section.ts";
import type { Worker } from "./worker.ts";
import type { CommonCalls } from "./workers/serve.ts";

export interface Side {
  run(durationMs: number): Promise<RequestResult>;
  /** Processes whose CPU time is taken. */
  hops: readonly Pick<Worker<CommonCalls>, "call">[];
}

/** One entry a run. */
export interface Series {
  perS: number[];
  p50Ms: number[];
  p99Ms: number[];
  /** CPU per request, in the order of the side's hops. */
  cpuUs: number[][];
}

export async function runInterleaved(
  { pairs, runMs, warmUpMs }: SectionContext,
  sides: readonly Side[],
): Promise<Series[]> {
  for (const side of sides) await side.run(warmUpMs);
  const all = sides.map(({ hops }): Series => ({
    perS: [],
    p50Ms: [],
    p99Ms: [],
    cpuUs: hops.map(() => []),
  }));
  for (let round = 0; round < pairs; round += 1) {
    for (const [index, side] of sides.entries()) {
      const series = all[index];
      if (series !== undefined) await runOnce(side, runMs, series);
    }
  }
  return all;
}

async function runOnce(side: Side, runMs: number, series: Series): Promise<void> {
  const before = await cpuOf(side.hops);
  const result = await side.run(runMs);
  const after = await cpuOf(side.hops);
  series.perS.push(result.perS);
  series.p50Ms.push(result.p50Ms);
  series.p99Ms.push(result.p99Ms);
  for (const [hop, list] of series.cpuUs.entries()) {
    list.push(((after[hop] ?? 0) - (before[hop] ?? 0)) / result.requests);
  }
}

function cpuOf(hops: Side["hops"]): Promise<number[]> {
  return Promise.all(hops.map(async (hop) => (await hop.call("usage")).cpuUs));
}
