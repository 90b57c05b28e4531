/** Bytes through CONNECT, beside the plain relay: on loopback, and over a long link. */
import type { BulkKind } from "../load/bulk.ts";
import type { Route } from "../load/route.ts";
import { startRig } from "../rig.ts";
import type { Rig } from "../rig.ts";
import { comparePairs } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { LinkCalls } from "../workers/link.ts";
import type { CommonCalls } from "../workers/serve.ts";
import type { SectionContext } from "./section.ts";

/** Each way: 50 ms round trip. */
const LINK_DELAY_MS = 25;
const LINK_MBIT_PER_S = 200;

interface BulkContext extends SectionContext {
  /** From the end of a run until its last bytes have arrived. */
  settleMs: number;
}

export async function measureBulk(context: SectionContext): Promise<void> {
  const { runMs, warmUpMs } = context;
  const brisk = { ...context, runMs: runMs / 2, warmUpMs: warmUpMs / 2, settleMs: 100 };
  await using rig = await startRig();
  for (const kind of ["download", "upload"] as const) {
    for (const streams of [1, 4]) {
      await addPairs(rig, brisk, kind, streams, { name: "loopback", least: 0.8 });
    }
  }
}

export async function measureDelayedBulk(context: SectionContext): Promise<void> {
  await using link = await Worker.start<LinkCalls>("link");
  const bytesPerS = (LINK_MBIT_PER_S * 1_000_000) / 8;
  await using rig = await startRig((upstream) =>
    link.call("open", { upstream, delayMs: LINK_DELAY_MS, bytesPerS }),
  );
  const slow = { ...context, pairs: Math.min(2, context.pairs), warmUpMs: 1_000, settleMs: 800 };
  for (const kind of ["download", "upload"] as const) {
    for (const streams of [1, 4]) {
      await addPairs(rig, slow, kind, streams, { name: `${2 * LINK_DELAY_MS} ms`, least: 0.9 });
    }
  }
  context.note(
    `delay: between the hops a user-space TCP relay with ${LINK_DELAY_MS} ms each way and ${LINK_MBIT_PER_S} Mbit/s; it delays bytes, not packets, so TCP itself never waits: what shows is HTTP/2's windows`,
  );
}

interface BulkSide {
  route: Route;
  hops: readonly Pick<Worker<CommonCalls>, "call">[];
}

/** One figure for each pair. */
interface BulkSeries {
  mbitPerS: number[];
  /** Both hops together, for a megabyte. */
  cpuUs: number[];
}

async function addPairs(
  rig: Rig,
  context: BulkContext,
  kind: BulkKind,
  streams: number,
  link: { name: string; least: number },
): Promise<void> {
  const target = kind === "upload" ? "sink" : "source";
  const tunnel: BulkSide = { route: rig.tunnel(target), hops: [rig.controlPlane, rig.agent] };
  const relay: BulkSide = { route: rig.relay(target), hops: [rig.relayA, rig.relayB] };
  const tunnelled: BulkSeries = { mbitPerS: [], cpuUs: [] };
  const relayed: BulkSeries = { mbitPerS: [], cpuUs: [] };
  for (let round = 0; round < context.pairs; round += 1) {
    await runOnce(rig, context, tunnel, kind, streams, tunnelled);
    await runOnce(rig, context, relay, kind, streams, relayed);
  }
  const label = `${link.name}, ${streams} stream${streams === 1 ? "" : "s"} ${kind}`;
  context.add({
    metric: label,
    unit: "Mbit/s",
    ...comparePairs(tunnelled.mbitPerS, relayed.mbitPerS),
    budget: { of: "ratio", bound: "at least", limit: link.least },
  });
  const cpu = comparePairs(tunnelled.cpuUs, relayed.cpuUs);
  context.add({ metric: `${label}, CPU of both hops a megabyte`, unit: "µs", ...cpu });
}

/** Counted where the bytes arrive. */
async function runOnce(
  rig: Rig,
  { runMs, warmUpMs, settleMs }: BulkContext,
  { route, hops }: BulkSide,
  kind: BulkKind,
  streams: number,
  series: BulkSeries,
): Promise<void> {
  const handle = await rig.load.call("openBulk", route, kind, streams);
  const count = () => (kind === "upload" ? rig.target.call("sunk") : rig.load.call("received", handle));
  const cpuUs = async () => {
    const usages = await Promise.all(hops.map((hop) => hop.call("usage")));
    return usages.reduce((sum, usage) => sum + usage.cpuUs, 0);
  };
  await sleep(warmUpMs);
  const before = { ...(await count()), cpuUs: await cpuUs() };
  await sleep(runMs);
  const after = { ...(await count()), cpuUs: await cpuUs() };
  await rig.load.call("close", handle);
  await sleep(settleMs); // what is under way drains, and is nobody else's load
  const bytes = after.bytes - before.bytes;
  series.mbitPerS.push((bytes * 8) / 1_000 / (after.atMs - before.atMs));
  series.cpuUs.push((after.cpuUs - before.cpuUs) / (bytes / 1_000_000));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
