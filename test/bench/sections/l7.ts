/** The HTTP route to a keep-alive target, beside the plain relay and beside a bare Hono response. */
import { hasWrk, runWrk } from "../load/wrk.ts";
import { ADMIN_TOKEN, API_PATH } from "../names.ts";
import { runInterleaved } from "../pairs.ts";
import type { Side } from "../pairs.ts";
import { startRig } from "../rig.ts";
import type { Rig } from "../rig.ts";
import { comparePairs, median } from "../statistics.ts";
import type { SectionContext } from "./section.ts";

export async function measureL7(context: SectionContext): Promise<void> {
  await using rig = await startRig();
  const wrk = await hasWrk();
  for (const connections of [1, 32]) {
    const side = (port: number, path: string, hops: Side["hops"]) =>
      openSide(rig, wrk, { port, path, connections }, hops);
    const [route, bare, relay] = await runInterleaved(context, [
      await side(rig.port, API_PATH, [rig.controlPlane, rig.agent]),
      await side(rig.port, "/healthz", [rig.controlPlane]),
      await side(rig.relayed.http, "/", [rig.relayA, rig.relayB]),
    ]);
    if (route === undefined || bare === undefined || relay === undefined) return;
    const label = `${connections} connection${connections === 1 ? "" : "s"}`;
    const controlPlane = comparePairs(route.cpuUs[0] ?? [], bare.cpuUs[0] ?? []);
    context.add({ metric: `${label}, requests`, unit: "req/s", ...comparePairs(route.perS, relay.perS) });
    context.add({ metric: `${label}, p99`, unit: "ms", ...comparePairs(route.p99Ms, relay.p99Ms) });
    context.add({
      metric: `${label}, control plane CPU a request over a bare response`,
      unit: "µs",
      value: controlPlane.difference,
      budget: { of: "value", bound: "at most", limit: 70 },
      note: `${controlPlane.value.toFixed(0)} − ${controlPlane.baseline.toFixed(0)} for GET /healthz`,
    });
    context.add({
      metric: `${label}, agent CPU a request`,
      unit: "µs",
      value: median(route.cpuUs[1] ?? []),
      baseline: median(relay.cpuUs[1] ?? []),
      budget: { of: "value", bound: "at most", limit: 35 },
    });
  }
  context.note(
    `l7: ${wrk ? "wrk" : "built-in generator (wrk is not installed)"}; baseline: the two-hop relay, which knows no HTTP`,
  );
}

async function openSide(
  rig: Rig,
  wrk: boolean,
  { port, path, connections }: { port: number; path: string; connections: number },
  hops: Side["hops"],
): Promise<Side> {
  const options = { connections, token: ADMIN_TOKEN };
  if (wrk) {
    const url = `http://127.0.0.1:${port}${path}`;
    return { hops, run: (durationMs) => runWrk({ ...options, url }, durationMs) };
  }
  const handle = await rig.load.call("openRequests", { ...options, port, path });
  return { hops, run: (durationMs) => rig.load.call("run", handle, durationMs) };
}
