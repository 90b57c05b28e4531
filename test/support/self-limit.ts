/** For a process whose main thread may spin: a thread of its own that ends the process, which no timer of the child's could. */
import { Worker } from "node:worker_threads";

export interface SelfLimit {
  /** More than this on top of what the process has now, and it is ended. */
  memoryMb: number;
  /** The main thread has not turned its event loop for so long. */
  stuckMs: number;
}

/** Ends the process by SIGKILL, behind a line on standard error, when it is beyond a limit. */
export function limitSelf({ memoryMb, stuckMs }: SelfLimit): void {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const watcher = new Worker(WATCH, {
    eval: true,
    workerData: { beats, stuckMs, maxBytes: process.memoryUsage.rss() + memoryMb * 1024 * 1024 },
  });
  watcher.unref();
  setInterval(() => Atomics.add(beats, 0, 1), Math.min(100, stuckMs / 4)).unref();
}

const WATCH = `
  const { workerData: { beats, stuckMs, maxBytes } } = require("node:worker_threads");
  let seen = -1, since = performance.now();
  setInterval(() => {
    const beat = Atomics.load(beats, 0), now = performance.now(), bytes = process.memoryUsage.rss();
    if (beat !== seen) { seen = beat; since = now; }
    const why = bytes > maxBytes ? "memory" : now - since > stuckMs ? "stuck" : undefined;
    if (why === undefined) return;
    require("node:fs").writeSync(2, "ended by its limit: " + why + ", " + Math.round(bytes / 1048576) + " MB\\n");
    process.kill(process.pid, "SIGKILL");
  }, 20);
`;
