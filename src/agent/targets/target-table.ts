/**
 * The targets that streams may be opened to. It counts the open streams of each, up to a limit, in the metrics too, and
 * tracks whether its last connect worked. Only a change of that is reported, so that a target that is down is logged once,
 * and one that is up and down by turns once in an interval.
 */
import type { ErrorCode } from "../../wire/error-table.ts";
import type { TurnaboutError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { STREAMS_PER_TARGET, TARGET_HEALTH_INTERVAL_MS } from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import type { RequestNames, StreamFailure, TargetFailure } from "./target-failures.ts";
import type { ServedRunner, Target } from "./targets.ts";

/** One stream's use of a target. `close` is idempotent. */
export interface OpenTarget {
  readonly target: Target;
  /** `<runner> <target>`, for log lines. Never an address. */
  readonly label: string;
  connected(error: TurnaboutError | undefined): void;
  /** Reports why the stream is refused. */
  failed(failure: StreamFailure): void;
  close(code?: ErrorCode): void;
}

interface Entry {
  target: Target;
  open: number;
  /** Whether the last connect worked. */
  healthy: boolean;
  reportedHealthy: boolean;
  /** Set after a report: the next one waits for it. */
  timer: NodeJS.Timeout | undefined;
}

interface OpenRunner {
  discovered: boolean;
  targets: Map<string, Entry>;
}

export class TargetTable {
  readonly #runners = new Map<string, OpenRunner>();
  readonly #metrics: AgentMetrics;
  readonly #onHealth: (destination: Destination, healthy: boolean) => void;
  readonly #onFailure: (failure: TargetFailure) => void;

  constructor(
    metrics: AgentMetrics,
    onHealth: (destination: Destination, healthy: boolean) => void,
    onFailure: (failure: TargetFailure) => void = () => {},
  ) {
    this.#metrics = metrics;
    this.#onHealth = onHealth;
    this.#onFailure = onFailure;
  }

  add(runner: ServedRunner): void {
    const entries = runner.targets.map((target): [string, Entry] => [
      target.name,
      { target, open: 0, healthy: true, reportedHealthy: true, timer: undefined },
    ]);
    this.#forgetReports(runner.id);
    this.#runners.set(runner.id, { discovered: runner.discovered === true, targets: new Map(entries) });
  }

  has(runnerId: string): boolean {
    return this.#runners.has(runnerId);
  }

  isDiscovered(runnerId: string): boolean {
    return this.#runners.get(runnerId)?.discovered === true;
  }

  remove(runnerId: string): void {
    this.#forgetReports(runnerId);
    this.#runners.delete(runnerId);
    const { streams } = this.#metrics;
    if (streams.isFull) streams.retain(new Set(this.health().map(({ target }) => target)));
  }

  runners(): ServedRunner[] {
    return [...this.#runners].map(([id, { discovered, targets }]) => ({
      id,
      targets: [...targets.values()].map((entry) => entry.target),
      discovered,
    }));
  }

  /** Whether the last connect worked, of each target. */
  health(): (Destination & { healthy: boolean })[] {
    return [...this.#runners].flatMap(([runner, { targets }]) =>
      [...targets].map(([target, { healthy }]) => ({ runner, target, healthy })),
    );
  }

  /** Targets that are reported as down. */
  unhealthy(): Destination[] {
    return [...this.#runners].flatMap(([runner, { targets }]) =>
      [...targets.values()]
        .filter(({ reportedHealthy }) => !reportedHealthy)
        .map(({ target }) => ({ runner, target: target.name })),
    );
  }

  #reportHealth(destination: Destination, entry: Entry): void {
    entry.timer = undefined;
    // Its streams may outlive an entry that was replaced or removed.
    const isCurrent = this.#runners.get(destination.runner)?.targets.get(destination.target) === entry;
    if (entry.healthy === entry.reportedHealthy || !isCurrent) return;
    entry.reportedHealthy = entry.healthy;
    this.#onHealth(destination, entry.healthy);
    entry.timer = setTimeout(() => this.#reportHealth(destination, entry), TARGET_HEALTH_INTERVAL_MS);
    entry.timer.unref();
  }

  #forgetReports(runnerId: string): void {
    for (const { timer } of this.#runners.get(runnerId)?.targets.values() ?? []) clearTimeout(timer);
  }

  /** Reports a failure of a target, if there is such a one. */
  failed({ runner, target }: Destination, failure: StreamFailure): void {
    const entry = this.#runners.get(runner)?.targets.get(target);
    if (entry !== undefined) this.#onFailure({ ...failure, runner, target, address: entry.target.address });
  }

  /** Admits a stream to a target, or returns why not. @param cause for which it was opened */
  open(destination: Destination, cause?: RequestNames): OpenTarget | ErrorCode {
    const runner = this.#runners.get(destination.runner);
    if (runner === undefined) return "runner_unknown";
    const entry = runner.targets.get(destination.target);
    if (entry === undefined) return "target_unknown";
    if (entry.open >= STREAMS_PER_TARGET) return "overloaded";
    entry.open += 1;
    this.#metrics.streamsOpen.inc();
    const openedAtMs = performance.now();
    let closed = false;
    return {
      target: entry.target,
      label: `${destination.runner} ${destination.target}`,
      connected: (error) => {
        entry.healthy = error === undefined;
        if (entry.healthy) this.#metrics.targetConnects.observeMs(performance.now() - openedAtMs);
        if (entry.timer === undefined) this.#reportHealth(destination, entry);
      },
      failed: (failure) => {
        this.#onFailure({ ...failure, ...destination, ...cause, address: entry.target.address });
      },
      close: (code) => {
        if (closed) return;
        closed = true;
        entry.open -= 1;
        this.#metrics.streamsOpen.dec();
        this.#metrics.streams.add(destination.target, code ?? "ok");
      },
    };
  }
}
