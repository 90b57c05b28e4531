/**
 * The watchdog thread. It shares nothing with the main thread but a counter, and uses nothing that needs the main
 * thread: its standard error would be written by that, and `process.exit()` would end only this thread.
 */
import fs from "node:fs";
import { workerData } from "node:worker_threads";
import { BEATS, LOOK_INTERVAL_MS } from "./beats.ts";
import type { WatchdogData } from "./beats.ts";
import { readMainThread, readWaitChannel } from "./proc.ts";
import { StallDetector } from "./stall.ts";
import type { Stall, Verdict } from "./stall.ts";

/** pino's. */
const LEVEL = { warn: 40, fatal: 60 } as const;
/** For the kernel to end the process, a core file included. */
const END_DEADLINE_MS = 10_000;

const { beats, limitMs, format } = workerData as WatchdogData;
const counter = new Int32Array(beats);
/** Nobody wakes this thread: `Atomics.wait` on it is a sleep. */
const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

const WHAT: Readonly<Record<Stall, string>> = {
  spinning: "the main thread is stuck in a loop",
  memory: "the main thread is stuck and memory runs away",
  blocked: "the main thread is blocked in a call that does not return",
};

watch();

function watch(): void {
  const detector = new StallDetector(limitMs);
  for (let lookedAt = performance.now(); ;) {
    Atomics.wait(sleeper, 0, 0, LOOK_INTERVAL_MS);
    const now = performance.now();
    const { cpuMs, state } = readMainThread();
    const verdict = detector.look({
      beats: Atomics.load(counter, BEATS),
      sinceLastLookMs: now - lookedAt,
      mainCpuMs: cpuMs,
      rssBytes: process.memoryUsage.rss(),
      state,
    });
    lookedAt = now;
    if (verdict.isNewlySilent)
      report("warn", "watchdog: no turn of the event loop; starved or blocked", state, verdict);
    if (verdict.stall !== undefined) {
      report("fatal", `watchdog: ${WHAT[verdict.stall]}; ending the process`, state, verdict);
      end(verdict.stall);
    }
  }
}

/** One line, as the log's others are. */
function report(level: "warn" | "fatal", msg: string, state: string | undefined, verdict: Verdict): void {
  const fields = {
    silentMs: Math.round(verdict.silentMs),
    mainThreadCpuMs: Math.round(verdict.cpuMs),
    mainThreadState: state,
    waitChannel: state === "R" ? undefined : readWaitChannel(),
    rssBytes: process.memoryUsage.rss(),
    rssGrowthBytes: verdict.grownBytes,
    limitMs,
  };
  const { pid } = process;
  const line =
    format === "json"
      ? JSON.stringify({ level: LEVEL[level], time: Date.now(), pid, ...fields, msg })
      : `[${new Date().toISOString()}] ${level.toUpperCase()}: ${msg} ${JSON.stringify(fields)}`;
  writeLine(`${line}\n`);
}

/**
 * Without blocking where that is possible: with a pipe that nobody reads, the report is lost and the process still ends.
 * A socket (systemd's journal) cannot be opened a second time and is written as it is.
 */
function writeLine(line: string): void {
  let fd = 2;
  try {
    fd = fs.openSync(
      "/proc/self/fd/2",
      fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_NONBLOCK,
    );
  } catch {
    // No /proc, or not openable.
  }
  try {
    fs.writeSync(fd, line);
  } catch {
    // Nobody reads the log.
  }
  if (fd !== 2) fs.closeSync(fd);
}

/**
 * SIGABRT, because a core file (where `ulimit -c` allows one) is the only record of a stack inside C++; SIGKILL for a
 * runaway, whose core would be as large. Supervisors count both as failures and start the process again.
 */
function end(stall: Stall): void {
  process.kill(process.pid, stall === "memory" ? "SIGKILL" : "SIGABRT");
  Atomics.wait(sleeper, 0, 0, END_DEADLINE_MS);
  // The first process of a container is immune to signals of its own.
  process.kill(process.pid, "SIGKILL");
}
