/** How long something took, on a machine whose cores others use too. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { within } from "./events.ts";

/** What waits for a core once waits for it at every step; the event loop, its thread pool and its peers each do. */
const STARVED_FACTOR = 3;

export interface Stopwatch {
  /** Milliseconds since the start, without those for which this process wanted a core and others had it. */
  elapsedMs(): number;
}

export function startStopwatch(): Stopwatch {
  const startedAt = performance.now();
  const starvedBefore = starvedMs();
  return {
    elapsedMs: () => {
      const starved = starvedMs() - starvedBefore;
      return Math.max(0, performance.now() - startedAt - STARVED_FACTOR * starved);
    },
  };
}

/** The promise's value, which has to come within `maxMs` of the machine's undivided attention. */
export async function promptly<T>(promise: Promise<T>, what: string, maxMs: number): Promise<T> {
  const stopwatch = startStopwatch();
  const value = await within(promise, what);
  const elapsedMs = stopwatch.elapsedMs();
  assert.ok(elapsedMs < maxMs, `${what}: after ${elapsedMs} ms, not within ${maxMs} ms`);
  return value;
}

/** Of the main thread, since its start: proc(5), schedstat. Elsewhere than on Linux: 0. */
function starvedMs(): number {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}
