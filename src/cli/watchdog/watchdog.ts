/**
 * A second thread that ends the process if its main thread is stuck in a loop of JavaScript, of a regular expression or of
 * native code, which no timer can interrupt. A supervisor restarts a dead process, and its peers notice its end; a stuck
 * one keeps its port and its agents and serves no one.
 */
import inspector from "node:inspector";
import { Worker } from "node:worker_threads";
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { UsageError } from "../command.ts";
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_INDEX } from "./heartbeat.ts";
import type { WatchdogData } from "./heartbeat.ts";
import { THREAD } from "./thread-source.ts";

/** Default of `--watchdog`: three times the longest known iteration of a busy control plane's event loop. */
const DEFAULT_LIMIT_MS = 30_000;
/** Below it a full garbage collection of a large heap looks like a stall. */
const MIN_LIMIT_MS = 1_000;
/** Enough to strip the types of its own files if it runs from source. */
const THREAD_HEAP_MB = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 };

export const WATCHDOG_HELP = `  --watchdog SECONDS      end the process if its main thread is stuck for this long; default 30, 0 turns it off`;

/**
 * The value of `--watchdog SECONDS`, in milliseconds.
 *
 * @param limitMs milliseconds; undefined: the default
 * @throws UsageError for less than a second, other than 0
 */
export function watchdogLimit(limitMs: number | undefined): number {
  if (limitMs === undefined) return DEFAULT_LIMIT_MS;
  if (limitMs > 0 && limitMs < MIN_LIMIT_MS)
    throw new UsageError(
      `--watchdog ${limitMs / 1_000}: too short`,
      "use at least 1 second, or 0 to turn it off",
    );
  return limitMs;
}

export interface WatchdogOptions {
  /** Time without an iteration of the event loop after which a spinning main thread is stuck, milliseconds; 0: no watchdog. */
  limitMs: number;
  /** Format of its report on standard error: that of the log. */
  format: "pretty" | "json";
  log: Logger;
}

/** Watches the main thread for the rest of the process's life. Does not keep the process alive. */
export function startWatchdog({ limitMs, format, log }: WatchdogOptions): void {
  if (limitMs === 0) return;
  if (inspector.url() !== undefined) return log.info({}, "no watchdog: a debugger may stop the main thread");
  if (process.pid === 1) {
    log.warn(
      {
        hint: "run it under an init process: `init: true` in Compose, `docker run --init`, or tini in the image",
      },
      "the watchdog cannot end this process, because the kernel ignores its signals to process 1",
    );
  }
  const heartbeats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const counter = new Int32Array(heartbeats);
  const workerData: WatchdogData = { heartbeats, limitMs, format };
  const thread = new Worker(THREAD, {
    eval: typeof THREAD === "string",
    name: "watchdog",
    workerData,
    env: {},
    execArgv: ["--disable-warning=ExperimentalWarning"],
    resourceLimits: THREAD_HEAP_MB,
  });
  thread.unref();
  const timer = setInterval(() => Atomics.add(counter, HEARTBEAT_INDEX, 1), HEARTBEAT_INTERVAL_MS);
  timer.unref();
  thread.on("error", (error) => {
    log.warn({ reason: toError(error).message }, "the watchdog thread has failed; continuing without it");
  });
  thread.on("exit", () => clearInterval(timer));
}
