/** Figures of the last hour in steps, for charts. A request adds to the step that runs; the rest is read when a step ends. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { RequestRecord } from "../records/request-record.ts";
import { HISTORY_STEP_MS, HISTORY_STEPS } from "./limits.ts";
import { Latencies } from "./latencies.ts";

/** Columns: of requests that led to a target, and of the process. */
export const SERIES = [
  "requests",
  "errors",
  "bytesIn",
  "bytesOut",
  "p50Ms",
  "p90Ms",
  "p99Ms",
  "streams",
  "waitingDials",
  "connects",
  "losses",
  "runners",
  "tunnelBytes",
  "loopDelayMs",
  "cpu",
  "rssBytes",
] as const;
export type SeriesName = (typeof SERIES)[number];

/** What is read at the end of a step. */
export interface HistorySources {
  /** Open on tunnel connections. */
  streams(): number;
  waitingDials(): number;
  /** Connected. */
  runners(): number;
  /** Of tunnel connections, so far. */
  tunnelBytes(): number;
}

export interface HistoryColumns {
  /** Ends of the steps, Unix seconds. */
  time: number[];
  series: Record<SeriesName, (number | null)[]>;
}

/** A delay that is longer is always seen. */
const LOOP_RESOLUTION_MS = 50;

export class History {
  readonly #sources: HistorySources;
  readonly #now: () => number;
  /** Rings; NaN where there is no value. */
  readonly #time = new Float64Array(HISTORY_STEPS);
  readonly #columns: Readonly<Record<SeriesName, Float64Array>>;
  readonly #latencies = new Latencies();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  /** Steps that have ended, ever. */
  #steps = 0;
  #requests = 0;
  #errors = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #connects = 0;
  #losses = 0;
  #tunnelBytes = 0;
  #cpu = process.cpuUsage();
  #beganAtMs: number;

  /** @param sources read when a step ends, and must not throw */
  constructor(sources: HistorySources, now: () => number = Date.now) {
    this.#sources = sources;
    this.#now = now;
    this.#beganAtMs = now();
    this.#columns = Object.fromEntries(
      SERIES.map((name) => [name, new Float64Array(HISTORY_STEPS)]),
    ) as Record<SeriesName, Float64Array>;
    this.#loop.enable();
    this.#timer = setInterval(() => this.step(), HISTORY_STEP_MS).unref();
  }

  /** Once for each request, at its end. Those of the API are not counted: a page that shows this makes some itself. */
  add({ bytesIn, bytesOut, code, status = 0, totalMs = 0, way }: RequestRecord): void {
    if (way === "api") return;
    this.#requests += 1;
    if (code !== "ok" || status >= 500) this.#errors += 1;
    this.#bytesIn += bytesIn;
    this.#bytesOut += bytesOut;
    // WebSockets and tunnels last as long as their callers like.
    if (way === "route" || way === "forward-proxy") this.#latencies.addMs(totalMs);
  }

  /** An event of a runner. */
  count(type: string): void {
    if (type === "connected") this.#connects += 1;
    else if (type === "lost") this.#losses += 1;
  }

  /** Ends the step that runs. The timer does it. */
  step(): void {
    const index = this.#steps % HISTORY_STEPS;
    const now = this.#now();
    const values = this.#values(now - this.#beganAtMs);
    for (const name of SERIES) this.#columns[name][index] = values[name] ?? NaN;
    this.#time[index] = Math.round(now / 1_000);
    this.#steps += 1;
    this.#beganAtMs = now;
    this.#requests = this.#errors = this.#bytesIn = this.#bytesOut = this.#connects = this.#losses = 0;
    this.#latencies.reset();
    this.#loop.reset();
    this.#cpu = process.cpuUsage();
    this.#tunnelBytes = this.#sources.tunnelBytes();
  }

  /** Steps that have ended, the oldest first. @param after only later ones: Unix seconds */
  columns(after: number = 0): HistoryColumns {
    const kept = Math.min(this.#steps, HISTORY_STEPS);
    const indexes = Array.from({ length: kept }, (_, i) => (this.#steps - kept + i) % HISTORY_STEPS).filter(
      (index) => (this.#time[index] ?? 0) > after,
    );
    const pick = (column: Float64Array): (number | null)[] =>
      indexes.map((index) => {
        const value = column[index] ?? NaN;
        return Number.isNaN(value) ? null : value;
      });
    return {
      time: indexes.map((index) => this.#time[index] ?? 0),
      series: Object.fromEntries(
        SERIES.map((name) => [name, pick(this.#columns[name])]),
      ) as HistoryColumns["series"],
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#loop.disable();
  }

  #values(lastedMs: number): Record<SeriesName, number | undefined> {
    const { user, system } = process.cpuUsage(this.#cpu);
    const { max, count } = this.#loop;
    const latencies = this.#latencies;
    return {
      requests: this.#requests,
      errors: this.#errors,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      p50Ms: latencies.percentileMs(50),
      p90Ms: latencies.percentileMs(90),
      p99Ms: latencies.percentileMs(99),
      streams: this.#sources.streams(),
      waitingDials: this.#sources.waitingDials(),
      connects: this.#connects,
      losses: this.#losses,
      runners: this.#sources.runners(),
      tunnelBytes: Math.max(0, this.#sources.tunnelBytes() - this.#tunnelBytes),
      // From one look to the next.
      loopDelayMs: count === 0 ? 0 : Math.max(0, Math.round(max / 1e5 - 10 * LOOP_RESOLUTION_MS) / 10),
      cpu: Math.round((user + system) / Math.max(1, lastedMs)) / 1_000,
      rssBytes: process.memoryUsage.rss(),
    };
  }
}
