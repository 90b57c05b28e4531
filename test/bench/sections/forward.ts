/** A new connection through `turnabout forward`, where the control plane is 50 ms away from both ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ADMIN_TOKEN, RUNNER } from "../names.ts";
import { startRig } from "../rig.ts";
import { percentile } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { LinkCalls } from "../workers/link.ts";
import type { SectionContext } from "./section.ts";

const ROUND_TRIP_MS = 50;
/** More than the bytes of a dial need. */
const BYTES_PER_S = 25_000_000;
/** What may be needed besides the two round trips. */
const OWN_MS = 15;
const DIALS = 20;
const READY_MS = 10_000;
const COMMAND = fileURLToPath(new URL("../../../src/cli/turnabout.ts", import.meta.url));

export async function measureForward(context: SectionContext): Promise<void> {
  await using link = await Worker.start<LinkCalls>("link");
  const open = (upstream: number): Promise<number> =>
    link.call("open", { upstream, delayMs: ROUND_TRIP_MS / 2, bytesPerS: BYTES_PER_S });
  await using rig = await startRig(open);
  const far = await open(rig.port);
  await using forward = await startForward(far);
  const times: Record<string, number[]> = { forward: [], connect: [] };
  for (let round = 0; round <= context.pairs; round += 1) {
    const dials = Math.max(5, Math.round(DIALS * context.scale));
    const forwarded = await rig.load.call("connectAndEcho", { port: forward.port }, dials);
    const connected = await rig.load.call("connectAndEcho", { port: far, connectTo: "echo" }, dials);
    if (round === 0) continue; // warm-up
    times["forward"]?.push(...forwarded);
    times["connect"]?.push(...connected);
  }
  for (const [name, share] of [
    ["p50", 0.5],
    ["p90", 0.9],
  ] as const) {
    const value = percentile(times["forward"] ?? [], share);
    const baseline = percentile(times["connect"] ?? [], share);
    context.add({
      metric: `new connection to first echo, ${name}`,
      unit: "ms",
      value,
      baseline,
      ratio: value / baseline,
      ...(name === "p50" && {
        budget: { of: "value", bound: "at most", limit: 2 * ROUND_TRIP_MS + OWN_MS },
      }),
      note: "baseline: CONNECT by a client that waits for the 200",
    });
  }
  context.note(
    `forward: ${ROUND_TRIP_MS} ms from the caller to the control plane and ${ROUND_TRIP_MS} ms from there to the agent, so ${2 * ROUND_TRIP_MS} ms are the least`,
  );
}

async function startForward(controlPlane: number): Promise<{ port: number } & AsyncDisposable> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  server.close();
  await once(server, "close");
  const args = [COMMAND, "forward", `${port}=${RUNNER}/echo`, "--server", `http://127.0.0.1:${controlPlane}`];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, TURNABOUT_TOKEN: ADMIN_TOKEN },
    stdio: "ignore",
  });
  await untilListening(port);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

async function untilListening(port: number): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline) {
    const socket = net.connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await pause(100);
  }
  throw new Error("turnabout forward does not listen");
}
