/**
 * How late the event loop is. Figures are those of the last window and of the one that runs, whichever are worse: a scrape
 * resets nothing, so that several may read them.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** How often it is looked at. A delay that is longer is always seen; a process that is idle wakes as often. */
const RESOLUTION_MS = 50;
const WINDOW_MS = 60_000;
const NS_PER_S = 1e9;

export interface EventLoopDelays {
  p50S: number;
  p90S: number;
  p99S: number;
  maxS: number;
}

export class EventLoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #last: EventLoopDelays | undefined;

  constructor() {
    this.#histogram.enable();
    setInterval(() => this.#rotate(), WINDOW_MS).unref();
  }

  get delays(): EventLoopDelays {
    const now = this.#current();
    const last = this.#last ?? now;
    return {
      p50S: Math.max(now.p50S, last.p50S),
      p90S: Math.max(now.p90S, last.p90S),
      p99S: Math.max(now.p99S, last.p99S),
      maxS: Math.max(now.maxS, last.maxS),
    };
  }

  #rotate(): void {
    this.#last = this.#current();
    this.#histogram.reset();
  }

  #current(): EventLoopDelays {
    const { count, max } = this.#histogram;
    if (count === 0) return { p50S: 0, p90S: 0, p99S: 0, maxS: 0 };
    const percentile = (percent: number): number => lateS(this.#histogram.percentile(percent));
    return { p50S: percentile(50), p90S: percentile(90), p99S: percentile(99), maxS: lateS(max) };
  }
}

/** Node measures from one look to the next. */
function lateS(intervalNs: number): number {
  return Math.max(0, intervalNs / NS_PER_S - RESOLUTION_MS / 1_000);
}
