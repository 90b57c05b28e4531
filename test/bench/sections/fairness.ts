/** Small requests beside a stalled stream and beside a saturating one. */
import type { BulkKind } from "../load/bulk.ts";
import type { RequestOptions } from "../load/requests.ts";
import { ADMIN_TOKEN, API_PATH } from "../names.ts";
import { startRig } from "../rig.ts";
import { median } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { LoadCalls } from "../workers/load.ts";
import type { SectionContext } from "./section.ts";

/** Few and unhurried: what is measured is their waiting, not the machine's capacity. */
const PROBE = { connections: 4, pauseMs: 4 } as const;

type Beside = "idle" | Exclude<BulkKind, "upload">;

export async function measureFairness(context: SectionContext): Promise<void> {
  const runMs = context.runMs * 0.75;
  await using rig = await startRig();
  // A process of its own, or the generator would wait for itself.
  await using neighbour = await Worker.start<LoadCalls>("load");
  const probes: { name: string; options: RequestOptions; source: ReturnType<typeof rig.relay> }[] = [
    {
      name: "L7",
      options: { ...PROBE, port: rig.port, path: API_PATH, token: ADMIN_TOKEN },
      source: rig.tunnel("source"),
    },
    { name: "L4", options: { ...PROBE, ...rig.tunnel("http"), path: "/" }, source: rig.tunnel("source") },
    { name: "relay", options: { ...PROBE, ...rig.relay("http"), path: "/" }, source: rig.relay("source") },
  ];
  for (const { name, options, source } of probes) {
    const handle = await rig.load.call("openRequests", options);
    await rig.load.call("run", handle, context.warmUpMs);
    const p99: Record<Beside, number[]> = { idle: [], stall: [], paced: [], download: [] };
    for (let round = 0; round < Math.min(3, context.pairs); round += 1) {
      for (const beside of ["idle", "stall", "paced", "download"] as const) {
        const bulk = beside === "idle" ? undefined : await neighbour.call("openBulk", source, beside, 1);
        await new Promise((resolve) => setTimeout(resolve, 300)); // windows fill
        p99[beside].push((await rig.load.call("run", handle, runMs)).p99Ms);
        if (bulk !== undefined) await neighbour.call("close", bulk);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    await rig.load.call("close", handle);
    for (const [beside, text] of [
      ["stall", "a stalled stream"],
      ["paced", "a stream of 100 Mbit/s"],
      ["download", "a saturating stream"],
    ] as const) {
      const value = median(p99[beside]);
      const baseline = median(p99.idle);
      context.add({
        metric: `${name} p99 beside ${text}`,
        unit: "ms",
        value,
        baseline,
        ratio: value / baseline,
        ...(name !== "relay" && { budget: { of: "ratio", bound: "at most", limit: 2 } }),
      });
    }
  }
  context.note(
    `fairness: ${PROBE.connections} connections, ${PROBE.pauseMs} ms between response and request; baseline is the same without a neighbour. All processes share the cores: the relay's rows show what that alone costs`,
  );
}
