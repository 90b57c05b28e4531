/** What is counted of one target. */
import { Durations } from "../../metrics/durations.ts";
import type { RequestRecord } from "../records/request-record.ts";

/** Of responses: `2xx` and the like, and `none` where the caller has got none. */
export const STATUS_CLASSES = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] as const;

export class TargetFigure {
  readonly runner: string;
  readonly target: string;
  /** Of HTTP requests, to the end of the response. WebSockets and tunnels last as long as their callers like. */
  readonly durations: Durations = new Durations();
  /** Of HTTP requests, to the header of the target's response. */
  readonly firstBytes: Durations = new Durations();
  /** By code, then by {@link STATUS_CLASSES}. */
  readonly outcomes: Map<string, Float64Array> = new Map();
  requestBytes = 0;
  responseBytes = 0;
  lastFailure: { code: string; atMs: number } | undefined;
  /** Since when its runner is known to be gone, by `performance.now()`. */
  goneSinceMs: number | undefined;

  constructor(runner: string, target: string) {
    this.runner = runner;
    this.target = target;
  }

  add(record: RequestRecord): void {
    const { code = "aborted", way, totalMs, firstByteMs, status } = record;
    let byStatus = this.outcomes.get(code);
    if (byStatus === undefined) {
      byStatus = new Float64Array(STATUS_CLASSES.length);
      this.outcomes.set(code, byStatus);
    }
    const index = status === undefined ? 0 : Math.trunc(status / 100);
    byStatus[index] = (byStatus[index] ?? 0) + 1;
    this.requestBytes += record.bytesIn;
    this.responseBytes += record.bytesOut;
    if (isTargetsFailure(code)) this.lastFailure = { code, atMs: Date.now() };
    if (way !== "route" && way !== "forward-proxy") return;
    if (totalMs !== undefined) this.durations.observeMs(totalMs);
    if (firstByteMs !== undefined) this.firstBytes.observeMs(firstByteMs);
  }
}

/** The target, or its agent's way to it, is the cause. */
function isTargetsFailure(code: string): boolean {
  return code === "response_timeout" || (code.startsWith("target_") && code !== "target_unknown");
}
