/**
 * Gives memory back to the system when a burst is over. V8 collects garbage when more is allocated, so behind a burst it stays; and
 * glibc keeps what was freed below its last allocation. Both are asked to let go once the process is calm.
 */
import v8 from "node:v8";
import { setTimeout as pause } from "node:timers/promises";
import vm from "node:vm";
import { nativeFunctions } from "../wire/system/native-functions.ts";

/** How often resident memory is looked at. */
export const MEMORY_CHECK_MS = 5_000;
/** Growth since the start from which on memory is given back. */
export const MIN_GROWTH_BYTES: number = 32 * 1024 * 1024;
/** Growth since the last attempt that a burst leaves behind, and everyday load does not. */
export const BURST_BYTES: number = 128 * 1024 * 1024;
/** How often a process that has just started is looked at, until it is calm. */
export const START_CHECK_MS = 3_000;
/** V8 frees the buffers that it has found to be garbage in another thread, a moment later. */
const SWEEP_MS = 1_000;
/**
 * The first pause before memory that has grown again by less is given back once more: a minute. An attempt also takes what V8 has
 * learnt of the code, and the next thousand requests cost twice as much.
 */
const REGROWTH_PAUSE_CHECKS = 12;
/** The longest pause between two attempts that find memory in use: an hour. */
const MAX_PAUSE_CHECKS = 720;
/** Share of the time for which the event loop may be busy: memory that is in use would be requested anew. */
export const CALM_UTILIZATION = 0.2;

export interface MemoryParts {
  rssBytes: () => number;
  /** Of the event loop, since the last call: 0 to 1. */
  utilization: () => number;
  /** Collects garbage, and waits until it has been freed. */
  collect: () => void | Promise<void>;
  /** Gives what is free back to the system. */
  trim: () => void;
}

export class MemoryReturn {
  readonly #parts: MemoryParts;
  #leastBytes: number;
  /** After the last attempt. */
  #leftBytes: number;
  /** Checks until the next attempt where memory has not grown since the last. */
  #pauseChecks = 0;
  /** The same where it has grown again: then everyday load uses it. */
  #regrowthPauseChecks = 0;
  #skippedChecks = 0;

  constructor(parts: MemoryParts) {
    this.#parts = parts;
    this.#leastBytes = parts.rssBytes();
    this.#leftBytes = this.#leastBytes;
  }

  /** @returns bytes that were given back */
  async check(): Promise<number> {
    const { rssBytes, utilization, collect, trim } = this.#parts;
    const before = rssBytes();
    const isCalm = utilization() < CALM_UTILIZATION;
    this.#leastBytes = Math.min(this.#leastBytes, before);
    if (before - this.#leastBytes < MIN_GROWTH_BYTES) return 0;
    this.#skippedChecks += 1;
    const growth = before - this.#leftBytes;
    const hasRegrown = growth >= MIN_GROWTH_BYTES;
    const isBurst = growth >= BURST_BYTES;
    const pauseChecks = hasRegrown ? this.#regrowthPauseChecks : this.#pauseChecks;
    if (!isCalm || (!isBurst && this.#skippedChecks <= pauseChecks)) return 0;
    if (hasRegrown && !isBurst) {
      this.#regrowthPauseChecks = Math.min(
        Math.max(REGROWTH_PAUSE_CHECKS, 2 * this.#regrowthPauseChecks),
        MAX_PAUSE_CHECKS,
      );
    }
    this.#skippedChecks = 0;
    await collect();
    trim();
    const after = rssBytes();
    const returned = before - after;
    // What is left is in use, or will be free later.
    const isInUse = returned < MIN_GROWTH_BYTES;
    this.#pauseChecks = isInUse ? Math.min(Math.max(1, 2 * this.#pauseChecks), MAX_PAUSE_CHECKS) : 0;
    this.#leftBytes = after;
    return returned;
  }
}

/** From now on, as long as the process runs. */
export function returnMemory(): void {
  const memory = new MemoryReturn(memoryParts());
  const check = (): void => void memory.check().catch(() => {});
  setInterval(check, MEMORY_CHECK_MS).unref();
}

/** Once, as soon as the process is calm: what it took to load and to connect is garbage, and little is allocated behind it. */
export function returnStartMemory({ utilization, collect, trim }: MemoryParts = memoryParts()): void {
  const timer = setInterval(() => {
    if (utilization() >= CALM_UTILIZATION) return;
    clearInterval(timer);
    void Promise.resolve(collect())
      .then(trim)
      .catch(() => {});
  }, START_CHECK_MS);
  timer.unref();
}

/** Those of this process. */
export function memoryParts(): MemoryParts {
  let collect: MemoryParts["collect"] | undefined;
  let trim: MemoryParts["trim"] | undefined;
  let last = performance.eventLoopUtilization();
  return {
    rssBytes: () => process.memoryUsage.rss(),
    utilization: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    collect: () => (collect ??= collector())(),
    trim: () => (trim ??= trimmer() ?? ignore)(),
  };
}

/**
 * V8's own function, which `--expose-gc` adds to contexts that are created from then on. A collection of the last resort also empties
 * the young generation and gives back the pages that V8 keeps for later: behind mixed load 120 MiB of 260.
 */
function collector(): MemoryParts["collect"] {
  v8.setFlagsFromString("--expose-gc");
  const gc = vm.runInNewContext("gc") as NodeJS.GCFunction;
  v8.setFlagsFromString("--no-expose-gc");
  return async () => {
    await gc({ execution: "async", type: "major", flavor: "last-resort" });
    await pause(SWEEP_MS, undefined, { ref: false });
  };
}

/** glibc's malloc_trim(3). Undefined where it cannot be called: another C library, or a Node without `node:ffi`. */
export function trimmer(): (() => void) | undefined {
  const functions = nativeFunctions("libc.so.6", { malloc_trim: { arguments: ["u64"], return: "i32" } });
  return functions && (() => void functions.malloc_trim(0n));
}

function ignore(): void {}
