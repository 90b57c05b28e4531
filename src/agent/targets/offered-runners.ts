/** The runners that an agent offers to its control plane now, and the changes that its connections report. */
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { Notices } from "../../wire/messages/notices.ts";
import type { Logger } from "../../wire/log.ts";
import type { AgentMetrics } from "../metrics.ts";
import { NoticeLog } from "./notice-log.ts";
import { changesSince } from "./pending-changes.ts";
import { TargetFailures } from "./target-failures.ts";
import { TargetTable } from "./target-table.ts";
import { describeRunner } from "./targets.ts";
import type { Runner, ServedRunner } from "./targets.ts";

export interface OfferedRunnersOptions {
  /** The agent's own. */
  runners: readonly Runner[];
  metrics: AgentMetrics;
  log: Logger;
  /** A newer agent has taken one of the agent's own runners; this agent stands by for it. */
  onReplaced: (runnerId: string) => void;
}

export class OfferedRunners {
  /** What streams are opened to. */
  readonly targets: TargetTable;
  readonly #notices: NoticeLog;
  readonly #onReplaced: (runnerId: string) => void;
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  /** Own runners that a newer agent has taken. Offered as discovered ones, or the two agents would replace each other. */
  readonly #replaced = new Set<string>();

  constructor({ runners, metrics, log, onReplaced }: OfferedRunnersOptions) {
    this.#onReplaced = onReplaced;
    this.#notices = new NoticeLog(log);
    const failures = new TargetFailures(log);
    this.targets = new TargetTable(
      metrics,
      ({ runner, target }, healthy) => {
        log[healthy ? "info" : "warn"]({ runner, target }, healthy ? "target is up" : "target is down");
        this.#publish({ type: "target-health", runner, target, healthy });
      },
      (failure) => failures.add(failure),
    );
    for (const runner of runners) this.targets.add(runner);
  }

  /** As in `/hello`. */
  list(): RunnerInfo[] {
    return this.targets.runners().map((runner) => this.#describe(runner));
  }

  /** Those that were configured or added, as opposed to discovered. */
  own(): ServedRunner[] {
    return this.targets.runners().filter(({ discovered }) => discovered !== true);
  }

  /** What `/events` begins with: what has changed since `/hello`, and the targets that are down. */
  changesSince(hello: readonly RunnerInfo[]): AgentEvent[] {
    return [
      ...changesSince(hello, this.list()),
      ...this.targets.unhealthy().map((at): AgentEvent => ({ type: "target-health", ...at, healthy: false })),
    ];
  }

  /** @returns removes the listener */
  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Adds a runner, or replaces its targets. */
  add(runner: ServedRunner): void {
    this.#notices.forget(runner.id);
    this.targets.add(runner);
    this.#publish({ type: "runner-added", runner: this.#describe(runner) });
  }

  remove(runnerId: string): void {
    this.#notices.forget(runnerId);
    this.#replaced.delete(runnerId);
    this.targets.remove(runnerId);
    this.#publish({ type: "runner-removed", id: runnerId });
  }

  /** The control plane reports runners that it refuses, or that a newer agent serves, and targets that send no response. */
  takeNotices(notices: Notices): void {
    const has = (id: string): boolean => this.targets.has(id);
    this.#notices.post(notices, has);
    for (const { runner, target, ...silence } of notices.silent)
      this.targets.failed({ runner, target }, { code: "response_timeout", phase: "response", ...silence });
    for (const { runner, target, content, ...fault } of notices.faulty)
      this.targets.failed({ runner, target }, { phase: content === true ? "content" : "response", ...fault });
    this.#notices
      .replaced(notices, (id) => has(id) && !this.targets.isDiscovered(id) && !this.#replaced.has(id))
      .forEach((id) => this.#standBy(id));
  }

  /** The newer agent comes first from now on; this one serves the runner when that one leaves. */
  #standBy(runnerId: string): void {
    this.#replaced.add(runnerId);
    this.#onReplaced(runnerId);
    const runner = this.targets.runners().find(({ id }) => id === runnerId);
    if (runner !== undefined) this.#publish({ type: "runner-added", runner: this.#describe(runner) });
  }

  #describe(runner: ServedRunner): RunnerInfo {
    return describeRunner({
      ...runner,
      discovered: runner.discovered === true || this.#replaced.has(runner.id),
    });
  }

  #publish(event: AgentEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
