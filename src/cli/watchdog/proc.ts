/** What the kernel says about the main thread of this process (proc(5)); portable substitutes where there is no /proc. */
import { readFileSync } from "node:fs";

/** USER_HZ, the unit of CPU times in /proc: 100 on every architecture that Node runs on. */
const TICK_MS = 10;

export interface MainThread {
  /** CPU time used so far, milliseconds. */
  cpuMs: number;
  /** R, S, D, T, Z…; undefined without /proc. */
  state: string | undefined;
}

/** On Linux the main thread has the id of its process. */
const TASK = `/proc/self/task/${process.pid}`;

export function readMainThread(): MainThread {
  const stat = readText(`${TASK}/stat`);
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, utime, stime] = [fields?.[0], Number(fields?.[11]), Number(fields?.[12])];
  if (Number.isFinite(utime + stime)) return { state, cpuMs: (utime + stime) * TICK_MS };
  const { user, system } = process.cpuUsage(); // of all threads, of which the main one is by far the busiest
  return { state: undefined, cpuMs: (user + system) / 1_000 };
}

let rssBytes = 0;

/** The last known figure where it cannot be read: a process that has no descriptors left opens no file. */
export function readRssBytes(): number {
  try {
    rssBytes = process.memoryUsage.rss();
  } catch {
    // No descriptors.
  }
  return rssBytes;
}

/** The kernel function in which a sleeping main thread waits; undefined if it is unknown. */
export function readWaitChannel(): string | undefined {
  const name = readText(`${TASK}/wchan`)?.trim();
  return name === undefined || name === "" || name === "0" ? undefined : name;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
