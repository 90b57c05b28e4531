/**
 * Counts requests at their end: by their way for all, and by target for a bounded number of targets. Those of runners that are
 * gone are dropped after a while; they are not added to `other`, whose rate would leap.
 */
import { Durations } from "../../metrics/durations.ts";
import type { RequestRecord, Way } from "../records/request-record.ts";
import { METRICS_GONE_MS, METRICS_MAX_TARGETS, METRICS_SWEEP_MS } from "./limits.ts";
import { TargetFigure } from "./target-figure.ts";

/** Runner and target of all that have no series of their own. A runner of this name has none either. */
const OTHER = "other";

export class RequestFigures {
  readonly byWay: Readonly<Record<Way, Durations>> = {
    route: new Durations(),
    "forward-proxy": new Durations(),
    connect: new Durations(),
    websocket: new Durations(),
    dial: new Durations(),
    api: new Durations(),
  };
  readonly #isGone: (runnerId: string) => boolean;
  readonly #targets = new Map<string, Map<string, TargetFigure>>();
  readonly #other = new TargetFigure(OTHER, OTHER);
  #count = 0;
  #sweptAtMs = -Infinity;

  /** @param isGone whether a runner is not connected and not waited for */
  constructor(isGone: (runnerId: string) => boolean) {
    this.#isGone = isGone;
  }

  /** Once for each request, at its end. */
  add(record: RequestRecord): void {
    if (record.totalMs !== undefined) this.byWay[record.way].observeMs(record.totalMs);
    const { runner, target } = record;
    if (runner === undefined || target === undefined || isRefusedCaller(record)) return;
    const figure = this.#targets.get(runner)?.get(target);
    if (figure !== undefined) return figure.add(record);
    // Without a connection the name may be the caller's invention.
    const created = record.connection === undefined ? undefined : this.#create(runner, target);
    (created ?? this.#other).add(record);
  }

  /** Those with series of their own, and the rest. */
  *all(): Generator<TargetFigure> {
    yield* this.targets();
    yield this.#other;
  }

  *targets(): Generator<TargetFigure> {
    for (const byTarget of this.#targets.values()) yield* byTarget.values();
  }

  get size(): number {
    return this.#count;
  }

  /** Before a scrape: drops what has been gone for long enough. */
  sweep(nowMs: number = performance.now(), keepMs: number = METRICS_GONE_MS): void {
    for (const figure of this.targets()) {
      if (!this.#isGone(figure.runner)) figure.goneSinceMs = undefined;
      else figure.goneSinceMs ??= nowMs;
      if (figure.goneSinceMs !== undefined && nowMs - figure.goneSinceMs >= keepMs) this.#drop(figure);
    }
  }

  #create(runner: string, target: string): TargetFigure | undefined {
    if (runner === OTHER || !this.#hasRoom()) return undefined;
    const figure = new TargetFigure(runner, target);
    const byTarget = this.#targets.get(runner) ?? new Map<string, TargetFigure>();
    this.#targets.set(runner, byTarget.set(target, figure));
    this.#count += 1;
    return figure;
  }

  #hasRoom(): boolean {
    const now = performance.now();
    if (this.#count >= METRICS_MAX_TARGETS && now - this.#sweptAtMs >= METRICS_SWEEP_MS) {
      this.#sweptAtMs = now;
      this.sweep(now, 0);
    }
    return this.#count < METRICS_MAX_TARGETS;
  }

  #drop({ runner, target }: TargetFigure): void {
    const byTarget = this.#targets.get(runner);
    if (byTarget?.delete(target) === true) this.#count -= 1;
    if (byTarget?.size === 0) this.#targets.delete(runner);
  }
}

/** One who may not have the target is no load of it, and does not lower its durations. */
function isRefusedCaller({ code, connection }: RequestRecord): boolean {
  return code === "not_allowed" && connection === undefined;
}
