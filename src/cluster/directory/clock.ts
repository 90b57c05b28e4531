/** The time that leases are measured by, and timers; in tests both are simulated. */

export interface Clock {
  /** Milliseconds that only rise; their zero means nothing. */
  now(): number;
  /** Runs once, unless the returned function is called before. Keeps no process alive. */
  after(delayMs: number, run: () => void): () => void;
}

/** The wall clock may run this far ahead before the process counts as suspended. */
const SUSPENSION_MS = 1_000;

/**
 * The monotonic clock, and what it misses while a machine is suspended or a virtual one is moved: the wall clock has then run ahead
 * of it. A wall clock that is set forward looks the same, and costs a node one renewal of its lease.
 */
export function systemClock(
  monotonic: () => number = () => performance.now(),
  wall: () => number = Date.now,
): Clock {
  let missedMs = 0;
  let lastMonotonic = monotonic();
  let lastWall = wall();
  return {
    now() {
      const [monotonicNow, wallNow] = [monotonic(), wall()];
      const aheadMs = wallNow - lastWall - (monotonicNow - lastMonotonic);
      [lastMonotonic, lastWall] = [monotonicNow, wallNow];
      if (aheadMs > SUSPENSION_MS) missedMs += aheadMs;
      return monotonicNow + missedMs;
    },
    after(delayMs, run) {
      const timer = setTimeout(run, delayMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}
