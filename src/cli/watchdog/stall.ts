/**
 * Decides whether a thread that has stopped answering is stuck. Pure: the watchdog thread feeds it what it has measured.
 *
 * Time is counted in the watchdog's own looks, each for no more than {@link MAX_LOOK_MS}. So a process that was
 * suspended (SIGSTOP, a paused container or virtual machine) has not been silent while it was, because its watchdog
 * was suspended with it. A starved process has not used the CPU time that a stuck one uses.
 */

/** One measurement of the main thread and its process. */
export interface Observation {
  /** Changes whenever the main thread has been through its event loop. */
  beats: number;
  /** Time since the look before, milliseconds. */
  sinceLastLookMs: number;
  /** CPU time that the main thread has used since it was started, milliseconds. */
  mainCpuMs: number;
  /** Resident memory of the process, bytes. */
  rssBytes: number;
  /** State of the main thread as in proc(5): R running, S sleeping, D uninterruptible…; undefined where unknown. */
  state: string | undefined;
}

/**
 * - `spinning`: no turn of the event loop for the limit, while the thread used the CPU
 * - `memory`: none for a second, while it used the CPU and resident memory grew fast
 * - `blocked`: none for many limits, asleep in a call that does not return
 */
export type Stall = "spinning" | "memory" | "blocked";

export interface Verdict {
  /** Why the process has to end; undefined if it may go on. */
  stall: Stall | undefined;
  /** Silent for the limit for the first time, and not known to be stuck: worth a warning. */
  isNewlySilent: boolean;
  /** Since the last sign of life. */
  silentMs: number;
  cpuMs: number;
  grownBytes: number;
}

/** A look that comes later than this was kept from coming: the process did not run meanwhile. */
export const MAX_LOOK_MS = 1_000;
/** Silence after which growing memory is a runaway: it can reach any limit long before the usual one has passed. */
const RUNAWAY_AFTER_MS = 1_000;
/** More than any callback of ours allocates. A loop inside node:http2 grows by 400 to 600 MB a second. */
const RUNAWAY_BYTES = 256 * 1024 * 1024;
/** A thread that has used less of its silence than this was starved or asleep, not spinning. */
const MIN_CPU_SHARE = 0.5;
/** A sleeping thread may wait for a slow disk: that many limits are more than a disk takes. */
const BLOCKED_LIMITS = 10;

export class StallDetector {
  readonly #limitMs: number;
  #beats: number | undefined;
  #silentMs = 0;
  #cpuMs = 0;
  #rssBytes = 0;
  #isReported = false;

  /** @param limitMs silence after which a spinning thread is stuck, milliseconds */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  look(seen: Observation): Verdict {
    if (seen.beats !== this.#beats) {
      this.#beats = seen.beats;
      this.#silentMs = 0;
      this.#cpuMs = seen.mainCpuMs;
      this.#rssBytes = seen.rssBytes;
      this.#isReported = false;
    } else this.#silentMs += Math.min(seen.sinceLastLookMs, MAX_LOOK_MS);
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
    // A starved thread that spins gets there too, later.
    if (silentMs >= this.#limitMs && cpuMs >= this.#limitMs * MIN_CPU_SHARE) return "spinning";
    // Not D: a thread in uninterruptible sleep waits for a device, and could not be ended anyway.
    if (silentMs >= this.#limitMs * BLOCKED_LIMITS && state === "S") return "blocked";
    return undefined;
  }
}
