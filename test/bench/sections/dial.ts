/** A fresh stream on an idle session: from the dial to the first byte echoed, beside a plain connect. */
import { startRig } from "../rig.ts";
import { percentile } from "../statistics.ts";
import type { SectionContext } from "./section.ts";

export async function measureDial(context: SectionContext): Promise<void> {
  await using rig = await startRig();
  const { controlPlane, load } = rig;
  const batch = Math.max(20, Math.round(100 * context.scale));
  const times = { dial: [], connect: [], tunnel: [], relay: [] } as Record<string, number[]>;
  for (let round = 0; round <= context.pairs; round += 1) {
    const measured = {
      dial: await controlPlane.call("dialAndEcho", batch),
      connect: await controlPlane.call("connectAndEcho", batch, rig.relayedOnce.echo),
      tunnel: await load.call("connectAndEcho", rig.tunnel("echo"), batch),
      relay: await load.call("connectAndEcho", rig.relay("echo"), batch),
    };
    if (round === 0) continue; // warm-up
    for (const [name, list] of Object.entries(measured)) times[name]?.push(...list);
  }
  const { dial = [], connect = [], tunnel = [], relay = [] } = times;
  for (const [name, share] of [
    ["p50", 0.5],
    ["p99", 0.99],
  ] as const) {
    context.add({
      metric: `dial() to first echo, ${name}`,
      unit: "ms",
      value: percentile(dial, share) - percentile(connect, share),
      ...(name === "p99" && { budget: { of: "value", bound: "at most", limit: 1 } }),
      note: `${percentile(dial, share).toFixed(2)} − ${percentile(connect, share).toFixed(2)} by TCP through one hop`,
    });
    context.add({
      metric: `CONNECT to first echo, ${name}`,
      unit: "ms",
      value: percentile(tunnel, share),
      baseline: percentile(relay, share),
      ratio: percentile(tunnel, share) / percentile(relay, share),
    });
  }
  context.note("dial: measured inside the control plane's process; a round trip on loopback counts as 0");
}
