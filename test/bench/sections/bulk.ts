/** Bytes through CONNECT, beside the plain relay: on loopback, and over a long link. */
import type { BulkKind } from "../load/bulk.ts";
import type { Route } from "../load/route.ts";
import { startRig } from "../rig.ts";
import type { Rig } from "../rig.ts";
import { comparePairs } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { LinkCalls } from "../workers/link.ts";
import type { SectionContext } from "./section.ts";

/** Each way: 50 ms round trip. */
const LINK_DELAY_MS = 25;
const LINK_MBIT_PER_S = 200;

interface BulkContext extends Pick<SectionContext, "pairs" | "runMs" | "warmUpMs"> {
  /** From the end of a run until its last bytes have arrived. */
  settleMs: number;
}

export async function measureBulk(context: SectionContext): Promise<void> {
  const { pairs, runMs, warmUpMs } = context;
  const brisk = { pairs, runMs: runMs / 2, warmUpMs: warmUpMs / 2, settleMs: 100 };
  await using rig = await startRig();
  for (const kind of ["download", "upload"] as const) {
    for (const streams of [1, 4]) {
      const compared = await measurePairs(rig, brisk, kind, streams);
      context.add({
        metric: `loopback, ${streams} stream${streams === 1 ? "" : "s"} ${kind}`,
        unit: "Mbit/s",
        ...compared,
        budget: { of: "ratio", bound: "at least", limit: 0.8 },
      });
    }
  }
}

export async function measureDelayedBulk(context: SectionContext): Promise<void> {
  await using link = await Worker.start<LinkCalls>("link");
  const bytesPerS = (LINK_MBIT_PER_S * 1_000_000) / 8;
  await using rig = await startRig((upstream) =>
    link.call("open", { upstream, delayMs: LINK_DELAY_MS, bytesPerS }),
  );
  const slow = { pairs: Math.min(3, context.pairs), runMs: context.runMs, warmUpMs: 1_000, settleMs: 800 };
  for (const kind of ["download", "upload"] as const) {
    for (const streams of [1, 4]) {
      context.add({
        metric: `${2 * LINK_DELAY_MS} ms, ${streams} stream${streams === 1 ? "" : "s"} ${kind}`,
        unit: "Mbit/s",
        ...(await measurePairs(rig, slow, kind, streams)),
        budget: { of: "ratio", bound: "at least", limit: 0.9 },
      });
    }
  }
  context.note(
    `delay: between the hops a user-space TCP relay with ${LINK_DELAY_MS} ms each way and ${LINK_MBIT_PER_S} Mbit/s; it delays bytes, not packets, so TCP itself never waits: what shows is HTTP/2's windows`,
  );
}

async function measurePairs(rig: Rig, context: BulkContext, kind: BulkKind, streams: number) {
  const target = kind === "upload" ? "sink" : "source";
  const tunnelled: number[] = [];
  const relayed: number[] = [];
  for (let round = 0; round < context.pairs; round += 1) {
    tunnelled.push(await throughput(rig, context, rig.tunnel(target), kind, streams));
    relayed.push(await throughput(rig, context, rig.relay(target), kind, streams));
  }
  return comparePairs(tunnelled, relayed);
}

/** Counted where the bytes arrive. In Mbit/s. */
async function throughput(
  rig: Rig,
  { runMs, warmUpMs, settleMs }: BulkContext,
  route: Route,
  kind: BulkKind,
  streams: number,
): Promise<number> {
  const handle = await rig.load.call("openBulk", route, kind, streams);
  const count = () => (kind === "upload" ? rig.target.call("sunk") : rig.load.call("received", handle));
  await sleep(warmUpMs);
  const before = await count();
  await sleep(runMs);
  const after = await count();
  await rig.load.call("close", handle);
  await sleep(settleMs); // what is under way drains, and is nobody else's load
  return ((after.bytes - before.bytes) * 8) / 1_000 / (after.atMs - before.atMs);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
