/** Reports to a cluster which runners agents serve here: a runner whose connections all drain is not offered to other nodes. */
import type { EventBus } from "../event-bus.ts";
import type { LocalChange, LocalRunner } from "./cluster.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { Registry } from "../registry/registry.ts";
import type { Upstream } from "../registry/upstream.ts";

type Listener = (change: LocalChange) => void;

export class LocalRunners {
  readonly #registry: Registry;
  readonly #reported = new Map<string, LocalRunner>();
  readonly #watched = new WeakSet<AgentConnection>();
  readonly #listeners: Listener[] = [];

  constructor(registry: Registry, bus: EventBus) {
    this.#registry = registry;
    bus.subscribe((event) => {
      if ("runner" in event) this.#check(event.runner);
    });
  }

  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  #check(runnerId: string): void {
    const upstream = this.#registry.remote.localUpstream(runnerId);
    const before = this.#reported.get(runnerId);
    const now = upstream === undefined ? undefined : localRunnerOf(runnerId, upstream);
    for (const connection of upstream?.connections ?? []) this.#watch(connection);
    if (before !== undefined && before.processId !== now?.processId) {
      this.#reported.delete(runnerId);
      const { processId, discovered } = before;
      const isWithdrawn = this.#registry.state(runnerId) === "gone";
      this.#report({ type: "left", runnerId, processId, discovered, isWithdrawn });
    }
    if (now === undefined || JSON.stringify(now) === JSON.stringify(this.#reported.get(runnerId))) return;
    this.#reported.set(runnerId, now);
    this.#report({ type: "served", runner: now });
  }

  /** What drains takes no new streams, though it is connected. */
  #watch(connection: AgentConnection): void {
    if (this.#watched.has(connection)) return;
    this.#watched.add(connection);
    connection.draining.addEventListener(
      "abort",
      () => {
        for (const id of connection.runners.keys()) this.#check(id);
      },
      { once: true },
    );
  }

  #report(change: LocalChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function localRunnerOf(runnerId: string, upstream: Upstream): LocalRunner | undefined {
  const { processId, bootEpochMs, credential, connections, discovered, info, streamsPerTarget } = upstream;
  if (info === undefined) return undefined;
  return {
    runnerId,
    processId,
    bootEpochMs,
    credentialId: credential,
    standby: [...connections].every((connection) => connection.standby),
    discovered,
    targets: info.targets,
    streamsPerTarget,
  };
}
