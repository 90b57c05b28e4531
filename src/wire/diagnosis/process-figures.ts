/** Figures of this process for a diagnosis: versions, memory, event loop. Neither arguments nor environment, which may hold secrets. */
import os from "node:os";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import v8 from "node:v8";
import { DIAGNOSIS_SAMPLE_MS } from "../limits.ts";
import { VERSION } from "../version.ts";

/** Takes a while, because the event loop is watched meanwhile. */
export async function processFigures(): Promise<object> {
  const delays = monitorEventLoopDelay({ resolution: 10 });
  const before = performance.eventLoopUtilization();
  delays.enable();
  await delay(DIAGNOSIS_SAMPLE_MS);
  delays.disable();
  const { node, v8: v8Version, openssl, uv, nghttp2 } = process.versions;
  return {
    time: new Date().toISOString(),
    versions: { turnabout: VERSION, node, v8: v8Version, openssl, uv, nghttp2 },
    system: {
      platform: process.platform,
      architecture: process.arch,
      release: os.release(),
      processors: os.availableParallelism(),
      memoryBytes: os.totalmem(),
      allowedMemoryBytes: process.constrainedMemory(),
      load: os.loadavg(),
    },
    process: {
      pid: process.pid,
      uptimeS: Math.round(process.uptime()),
      memory: process.memoryUsage(),
      cpu: process.cpuUsage(),
      activeResources: countsOf(process.getActiveResourcesInfo()),
    },
    heap: { ...v8.getHeapStatistics(), spaces: v8.getHeapSpaceStatistics() },
    eventLoop: {
      sampleMs: DIAGNOSIS_SAMPLE_MS,
      utilization: performance.eventLoopUtilization(before).utilization,
      utilizationSinceStart: performance.eventLoopUtilization().utilization,
      delayMs: {
        mean: milliseconds(delays.mean),
        p50: milliseconds(delays.percentile(50)),
        p99: milliseconds(delays.percentile(99)),
        max: milliseconds(delays.max),
      },
    },
  };
}

/** Collects one at a time: whoever comes meanwhile gets the same. */
export function oneAtATime<T>(collect: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => (running ??= collect().finally(() => (running = undefined)));
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function milliseconds(nanoseconds: number): number {
  return Math.round(nanoseconds / 10_000) / 100;
}
