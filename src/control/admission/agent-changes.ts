/**
 * Changes that an agent reports on `/events`, applied no faster than its budgets allow. Of each runner only the last state
 * counts: one that comes and goes within a turn of the event loop, or while the budgets are used up, costs nothing.
 */
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import { MAX_TARGETS_PER_RUNNER } from "../../wire/limits.ts";
import type { TokenBucket } from "../../wire/token-bucket.ts";
import { CHANGES_PER_TURN, MAX_PENDING_CHANGES } from "../limits.ts";

export interface AgentChangesOptions {
  /** Each applied change of a runner takes one from all of them. */
  budgets: readonly TokenBucket[];
  /** Whether the control plane knows that the agent offers this runner. */
  isKnown: (runnerId: string) => boolean;
  /** Never throws. */
  apply: (event: AgentEvent) => void;
  /** Fewer runners have pending changes again: {@link AgentChanges.isFull} is false. */
  onRoom: () => void;
}

interface PendingRunner {
  /** Its last state; undefined if only its targets' health has changed. */
  state: RunnerInfo | "removed" | undefined;
  health: Map<string, boolean>;
}

export class AgentChanges {
  readonly #options: AgentChangesOptions;
  readonly #pending = new Map<string, PendingRunner>();
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wasFull = false;

  constructor(options: AgentChangesOptions) {
    this.#options = options;
  }

  /** No further change of another runner should be pushed until `onRoom`. */
  get isFull(): boolean {
    return this.#pending.size >= MAX_PENDING_CHANGES;
  }

  push(event: AgentEvent): void {
    if (event.type === "target-health") this.#setHealth(event.runner, event.target, event.healthy);
    else if (event.type === "runner-added") this.#setState(event.runner.id, event.runner);
    else this.#setState(event.id, "removed");
    if (this.isFull) this.#wasFull = true;
    if (this.#timer === undefined) this.#immediate ??= setImmediate(this.#flush);
  }

  /** Drops what is pending. */
  clear(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#immediate = undefined;
    this.#timer = undefined;
    this.#wasFull = false;
    this.#pending.clear();
  }

  #setState(id: string, state: RunnerInfo | "removed"): void {
    // Known here or not at all: whatever was pending has come and gone.
    if (state === "removed" && !this.#options.isKnown(id)) this.#pending.delete(id);
    // The agent reports its targets' health again with each state.
    else this.#pending.set(id, { state, health: new Map() });
  }

  #setHealth(id: string, target: string, healthy: boolean): void {
    const pending = this.#pending.get(id);
    if (pending === undefined && !this.#options.isKnown(id)) return;
    const { state, health } = pending ?? { state: undefined, health: new Map<string, boolean>() };
    if (state === "removed" || (health.size >= MAX_TARGETS_PER_RUNNER && !health.has(target))) return;
    health.set(target, healthy);
    this.#pending.set(id, { state, health });
  }

  readonly #flush = (): void => {
    this.#immediate = undefined;
    this.#timer = undefined;
    let left = CHANGES_PER_TURN;
    for (const [id, { state, health }] of this.#pending) {
      if (left === 0) {
        this.#immediate = setImmediate(this.#flush); // others get a turn
        break;
      }
      const waitMs = state === undefined ? 0 : this.#take();
      if (waitMs > 0) {
        this.#timer = setTimeout(this.#flush, waitMs);
        this.#timer.unref();
        break;
      }
      left -= 1;
      this.#pending.delete(id);
      this.#apply(id, state, health);
    }
    if (!this.#wasFull || this.#pending.size > MAX_PENDING_CHANGES / 2) return;
    this.#wasFull = false;
    this.#options.onRoom();
  };

  #apply(id: string, state: PendingRunner["state"], health: PendingRunner["health"]): void {
    const { apply } = this.#options;
    if (state === "removed") return apply({ type: "runner-removed", id });
    if (state !== undefined) apply({ type: "runner-added", runner: state });
    for (const [target, healthy] of health) apply({ type: "target-health", runner: id, target, healthy });
  }

  /** 0 if a change was taken from every budget; otherwise how long to wait for it, in milliseconds. */
  #take(): number {
    const { budgets } = this.#options;
    const waitMs = Math.max(...budgets.map((budget) => budget.waitMs()));
    if (waitMs === 0) for (const budget of budgets) budget.take();
    return waitMs;
  }
}
