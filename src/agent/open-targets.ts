/** Which targets there are, how many streams each has open, and whether its last connect worked. */
import type { ErrorCode } from "../wire/error-table.ts";
import type { TurnaboutError } from "../wire/errors.ts";
import type { Destination } from "../wire/names.ts";
import { STREAMS_PER_TARGET } from "./limits.ts";
import type { AgentMetrics } from "./metrics.ts";
import type { Runner, Target } from "./targets.ts";

/** One stream's hold on a target. `close` is idempotent. */
export interface OpenTarget {
  readonly target: Target;
  /** `<runner> <target>`, for messages: never an address. */
  readonly label: string;
  connected(error: TurnaboutError | undefined): void;
  close(code?: ErrorCode): void;
}

interface Entry {
  target: Target;
  open: number;
  healthy: boolean;
}

export class OpenTargets {
  readonly #runners = new Map<string, Map<string, Entry>>();
  readonly #metrics: AgentMetrics;
  readonly #onHealth: (destination: Destination, healthy: boolean) => void;

  constructor(metrics: AgentMetrics, onHealth: (destination: Destination, healthy: boolean) => void) {
    this.#metrics = metrics;
    this.#onHealth = onHealth;
  }

  add(runner: Runner): void {
    const entries = runner.targets.map((target): [string, Entry] => [
      target.name,
      { target, open: 0, healthy: true },
    ]);
    this.#runners.set(runner.id, new Map(entries));
  }

  remove(runnerId: string): void {
    this.#runners.delete(runnerId);
  }

  runners(): Runner[] {
    return [...this.#runners].map(([id, entries]) => ({
      id,
      targets: [...entries.values()].map((entry) => entry.target),
    }));
  }

  /** Targets whose last connect failed. */
  unhealthy(): Destination[] {
    return [...this.#runners].flatMap(([runner, entries]) =>
      [...entries.values()]
        .filter(({ healthy }) => !healthy)
        .map(({ target }) => ({ runner, target: target.name })),
    );
  }

  /** The check that every stream goes through. */
  open(destination: Destination): OpenTarget | ErrorCode {
    const runner = this.#runners.get(destination.runner);
    if (runner === undefined) return "runner_unknown";
    const entry = runner.get(destination.target);
    if (entry === undefined) return "target_unknown";
    if (entry.open >= STREAMS_PER_TARGET) return "overloaded";
    entry.open += 1;
    this.#metrics.streamsOpen.inc();
    let closed = false;
    return {
      target: entry.target,
      label: `${destination.runner} ${destination.target}`,
      connected: (error) => {
        const healthy = error === undefined;
        if (entry.healthy === healthy) return;
        entry.healthy = healthy;
        this.#onHealth(destination, healthy);
      },
      close: (code) => {
        if (closed) return;
        closed = true;
        entry.open -= 1;
        this.#metrics.streamsOpen.dec();
        this.#metrics.streamsTotal.inc({ target: destination.target, outcome: code ?? "ok" });
      },
    };
  }
}
