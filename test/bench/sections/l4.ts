/** Small requests on kept-alive CONNECT tunnels, beside the same on the plain relay. */
import type { Route } from "../load/route.ts";
import { runInterleaved } from "../pairs.ts";
import type { Side } from "../pairs.ts";
import { startRig } from "../rig.ts";
import type { Rig } from "../rig.ts";
import { comparePairs } from "../statistics.ts";
import type { SectionContext } from "./section.ts";

export async function measureL4(context: SectionContext): Promise<void> {
  await using rig = await startRig();
  for (const connections of [1, 32]) {
    const [tunnel, relay] = await runInterleaved(context, [
      await openSide(rig, rig.tunnel("http"), connections, [rig.controlPlane, rig.agent]),
      await openSide(rig, rig.relay("http"), connections, [rig.relayA, rig.relayB]),
    ]);
    if (tunnel === undefined || relay === undefined) return;
    const label = `${connections} connection${connections === 1 ? "" : "s"}`;
    context.add({
      metric: `${label}, requests`,
      unit: "req/s",
      ...comparePairs(tunnel.perS, relay.perS),
      ...(connections === 32 && { budget: { of: "ratio", bound: "at least", limit: 0.9 } }),
    });
    context.add({ metric: `${label}, p50`, unit: "ms", ...comparePairs(tunnel.p50Ms, relay.p50Ms) });
    context.add({ metric: `${label}, p99`, unit: "ms", ...comparePairs(tunnel.p99Ms, relay.p99Ms) });
    for (const [hop, name] of ["control plane", "agent"].entries()) {
      const cpu = comparePairs(tunnel.cpuUs[hop] ?? [], relay.cpuUs[hop] ?? []);
      context.add({ metric: `${label}, ${name} CPU a request`, unit: "µs", ...cpu });
    }
  }
  context.note(
    "l4: built-in generator; medians of interleaved pairs, ratio is the median of the pairs' ratios",
  );
}

async function openSide(rig: Rig, route: Route, connections: number, hops: Side["hops"]): Promise<Side> {
  const handle = await rig.load.call("openRequests", { ...route, connections, path: "/" });
  return { hops, run: (durationMs) => rig.load.call("run", handle, durationMs) };
}
