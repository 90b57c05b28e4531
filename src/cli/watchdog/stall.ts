/**
 * Decides whether a main thread without heartbeats is stuck. It has no side effects: the watchdog thread passes it
 * measurements.
 *
 * Time is the sum of the intervals between the watchdog's checks, each counted up to {@link MAX_CHECK_MS}. So the time of a
 * suspension (SIGSTOP, a paused container or virtual machine) does not count, because the watchdog is suspended too. A
 * process that gets no CPU has not used the CPU time that a stuck one uses.
 */

/** One measurement of the main thread and its process. */
export interface Observation {
  /** Changes with every iteration of the main thread's event loop. */
  heartbeats: number;
  /** Time since the last check, milliseconds. */
  sinceLastCheckMs: number;
  /** CPU time that the main thread has used since it was started, milliseconds. */
  mainCpuMs: number;
  /** Resident memory of the process, bytes. */
  rssBytes: number;
  /** State of the main thread as in proc(5): R running, S sleeping, D uninterruptible…; undefined where unknown. */
  state: string | undefined;
}

/**
 * - `spinning`: no iteration of the event loop within the limit, while the thread used the CPU
 * - `memory`: none for a second, while it used the CPU and resident memory grew fast
 * - `blocked`: none for many limits, while it slept in a call that does not return
 */
export type Stall = "spinning" | "memory" | "blocked";

export interface Verdict {
  /** Why the process has to end; undefined if it need not. */
  stall: Stall | undefined;
  /** No heartbeat within the limit for the first time, but not known to be stuck: to be logged as a warning. */
  isNewlySilent: boolean;
  /** Since the last heartbeat. */
  silentMs: number;
  cpuMs: number;
  grownBytes: number;
}

/** A check that comes later than this was delayed itself: the process did not run meanwhile. */
export const MAX_CHECK_MS = 1_000;
/** Time without a heartbeat after which growing memory is fatal: it can exhaust the machine long before the usual limit. */
const RUNAWAY_AFTER_MS = 1_000;
/** More than any callback of ours allocates. A known loop inside node:http2 allocates 400 to 600 MB a second. */
const RUNAWAY_BYTES = 256 * 1024 * 1024;
/** A thread with a lower share of CPU time got no CPU or slept: it does not spin. */
const MIN_CPU_SHARE = 0.5;
/** A sleeping thread may wait for a slow disk. So many limits are longer than a disk takes. */
const BLOCKED_LIMITS = 10;

export class StallDetector {
  readonly #limitMs: number;
  #heartbeats: number | undefined;
  #silentMs = 0;
  #cpuMs = 0;
  #rssBytes = 0;
  #isReported = false;

  /** @param limitMs time without a heartbeat after which a spinning thread is stuck, milliseconds */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  check(seen: Observation): Verdict {
    if (seen.heartbeats !== this.#heartbeats) {
      this.#heartbeats = seen.heartbeats;
      this.#silentMs = 0;
      this.#cpuMs = seen.mainCpuMs;
      this.#rssBytes = seen.rssBytes;
      this.#isReported = false;
    } else this.#silentMs += Math.min(seen.sinceLastCheckMs, MAX_CHECK_MS);
    const silentMs = this.#silentMs;
    const cpuMs = seen.mainCpuMs - this.#cpuMs;
    const grownBytes = seen.rssBytes - this.#rssBytes;
    const stall = this.#stall(seen.state, cpuMs, grownBytes);
    const isNewlySilent = stall === undefined && silentMs >= this.#limitMs && !this.#isReported;
    this.#isReported ||= isNewlySilent;
    return { stall, isNewlySilent, silentMs, cpuMs, grownBytes };
  }

  #stall(state: string | undefined, cpuMs: number, grownBytes: number): Stall | undefined {
    const silentMs = this.#silentMs;
    const isRunaway = silentMs >= RUNAWAY_AFTER_MS && grownBytes > RUNAWAY_BYTES;
    if (isRunaway && cpuMs >= RUNAWAY_AFTER_MS * MIN_CPU_SHARE) return "memory";
    // A spinning thread that gets little CPU is detected too, later.
    if (silentMs >= this.#limitMs && cpuMs >= this.#limitMs * MIN_CPU_SHARE) return "spinning";
    // Not D: a thread in uninterruptible sleep waits for a device, and could not be ended anyway.
    if (silentMs >= this.#limitMs * BLOCKED_LIMITS && state === "S") return "blocked";
    return undefined;
  }
}
