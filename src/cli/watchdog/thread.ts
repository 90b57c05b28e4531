/**
 * The watchdog thread. It shares only a counter with the main thread, and uses nothing that depends on it: the main thread
 * would have to write a worker's `process.stderr`, and `process.exit()` would end only this thread.
 */
import fs from "node:fs";
import { workerData } from "node:worker_threads";
import { HEARTBEAT_INDEX, CHECK_INTERVAL_MS } from "./heartbeat.ts";
import type { WatchdogData } from "./heartbeat.ts";
import { readMainThread, readRssBytes, readWaitChannel } from "./proc.ts";
import { StallDetector } from "./stall.ts";
import type { Stall, Verdict } from "./stall.ts";

/** pino's numbers. */
const LEVEL = { warn: 40, fatal: 60 } as const;
/** How long the kernel may take to end the process, including a core file. */
const END_DEADLINE_MS = 10_000;

const { heartbeats, limitMs, format } = workerData as WatchdogData;
const counter = new Int32Array(heartbeats);
/** Never notified: `Atomics.wait` on it is a sleep. */
const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

const WHAT: Readonly<Record<Stall, string>> = {
  spinning: "the main thread is stuck in a loop",
  memory: "the main thread is stuck and memory grows without limit",
  blocked: "the main thread is blocked in a call that does not return",
};

watch();

function watch(): void {
  const detector = new StallDetector(limitMs);
  for (let checkedAtMs = performance.now(); ;) {
    Atomics.wait(sleeper, 0, 0, CHECK_INTERVAL_MS);
    const now = performance.now();
    const { cpuMs, state } = readMainThread();
    const verdict = detector.check({
      heartbeats: Atomics.load(counter, HEARTBEAT_INDEX),
      sinceLastCheckMs: now - checkedAtMs,
      mainCpuMs: cpuMs,
      rssBytes: readRssBytes(),
      state,
    });
    checkedAtMs = now;
    if (verdict.isNewlySilent)
      report(
        "warn",
        "watchdog: the event loop is stalled; the main thread gets no CPU or is blocked",
        state,
        verdict,
      );
    if (verdict.stall !== undefined) {
      report("fatal", `watchdog: ${WHAT[verdict.stall]}; ending the process`, state, verdict);
      end(verdict.stall);
    }
  }
}

/** One line in the format of the log. */
function report(level: "warn" | "fatal", msg: string, state: string | undefined, verdict: Verdict): void {
  const fields = {
    silentMs: Math.round(verdict.silentMs),
    mainThreadCpuMs: Math.round(verdict.cpuMs),
    mainThreadState: state,
    waitChannel: state === "R" ? undefined : readWaitChannel(),
    rssBytes: readRssBytes(),
    rssGrowthBytes: verdict.grownBytes,
    limitMs,
  };
  const { pid } = process;
  const line =
    format === "json"
      ? JSON.stringify({ level: LEVEL[level], time: new Date().toISOString(), pid, ...fields, msg })
      : `[${new Date().toISOString()}] ${level.toUpperCase()}: ${msg} ${JSON.stringify(fields)}`;
  writeLine(`${line}\n`);
}

/**
 * Without blocking, if possible: if the log is a pipe that is not read, the report is lost and the process still ends. A
 * socket (systemd's journal) cannot be opened a second time, so it is written directly.
 */
function writeLine(line: string): void {
  let fd = 2;
  try {
    fd = fs.openSync(
      "/proc/self/fd/2",
      fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_NONBLOCK,
    );
  } catch {
    // No /proc, or it cannot be opened.
  }
  try {
    fs.writeSync(fd, line);
  } catch {
    // The log is not read.
  }
  if (fd !== 2) fs.closeSync(fd);
}

/**
 * SIGABRT, because a core file (where `ulimit -c` allows one) is the only record of a stack inside C++. SIGKILL if memory
 * has grown, because the core file would be as large. Supervisors treat both as failures and restart the process.
 */
function end(stall: Stall): void {
  process.kill(process.pid, stall === "memory" ? "SIGKILL" : "SIGABRT");
  Atomics.wait(sleeper, 0, 0, END_DEADLINE_MS);
  // The kernel ignores signals that process 1 of a container sends to itself.
  process.kill(process.pid, "SIGKILL");
}
