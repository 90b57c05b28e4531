/**
 * A second thread that ends the process if its main thread is stuck: in a loop of JavaScript, of a regular expression
 * or of native code, none of which a timer could interrupt. What is left then is a dead process, which a supervisor
 * starts again and whose peers see it die, in place of one that holds its port and its agents and serves nobody.
 */
import inspector from "node:inspector";
import { Worker } from "node:worker_threads";
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { UsageError } from "../command.ts";
import { BEAT_INTERVAL_MS, BEATS } from "./beats.ts";
import type { WatchdogData } from "./beats.ts";

/** Of `--watchdog`. Three times what the longest known turn of a busy control plane takes. */
const DEFAULT_LIMIT_MS = 30_000;
/** Below it a full collection of a large heap looks like a stall. */
const MIN_LIMIT_MS = 1_000;
/** Enough to strip the types of its own files where it runs from source; what it cannot have, it cannot take. */
const THREAD_HEAP_MB = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 };

export const WATCHDOG_HELP = `  --watchdog SECONDS      end the process if its main thread is stuck for so long; default 30, 0 turns it off`;

/**
 * Of `--watchdog SECONDS`.
 *
 * @param limitMs milliseconds; undefined takes the default
 * @throws UsageError for less than a second, other than 0
 */
export function watchdogLimit(limitMs: number | undefined): number {
  if (limitMs === undefined) return DEFAULT_LIMIT_MS;
  if (limitMs > 0 && limitMs < MIN_LIMIT_MS)
    throw new UsageError(`--watchdog ${limitMs / 1_000}`, "use at least 1 second, or 0 to turn it off");
  return limitMs;
}

export interface WatchdogOptions {
  /** Silence of the event loop after which a spinning main thread is stuck, milliseconds; 0: no watchdog. */
  limitMs: number;
  /** Of its report on standard error; as the log's. */
  format: "pretty" | "json";
  log: Logger;
}

/** Watches the main thread for the rest of the process's life. It keeps no process alive. */
export function startWatchdog({ limitMs, format, log }: WatchdogOptions): void {
  if (limitMs === 0) return;
  if (inspector.url() !== undefined) return log.info({}, "no watchdog: a debugger may stop the main thread");
  if (process.pid === 1) {
    log.warn(
      { hint: "run it below an init: `init: true` in Compose, `docker run --init`, or tini in the image" },
      "the watchdog cannot end this process, because the kernel ignores its signals to process 1",
    );
  }
  const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const counter = new Int32Array(beats);
  const workerData: WatchdogData = { beats, limitMs, format };
  // The compiled file has another extension, which the compiler does not rewrite here.
  const file = import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js";
  const thread = new Worker(new URL(file, import.meta.url), {
    name: "watchdog",
    workerData,
    env: {},
    execArgv: ["--disable-warning=ExperimentalWarning"],
    resourceLimits: THREAD_HEAP_MB,
  });
  thread.unref();
  const timer = setInterval(() => Atomics.add(counter, BEATS, 1), BEAT_INTERVAL_MS);
  timer.unref();
  thread.on("error", (error) => {
    log.warn({ reason: toError(error).message }, "the watchdog thread has ended; going on without it");
  });
  thread.on("exit", () => clearInterval(timer));
}
