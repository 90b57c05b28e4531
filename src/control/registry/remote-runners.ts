/**
 * Runners whose agents are connected to another node of a cluster. The connection to that node is one more connection of each of
 * them, behind those of agents here; its loss looks like the loss of an agent: dials wait in the grace.
 */
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Entries } from "./entries.ts";
import type { RunnerLifecycle } from "./runner-lifecycle.ts";
import type { RemoteAgent, Upstream } from "./upstream.ts";

export class RemoteRunners {
  readonly #entries: Entries;
  readonly #lifecycle: RunnerLifecycle;

  constructor(entries: Entries, lifecycle: RunnerLifecycle) {
    this.#entries = entries;
    this.#lifecycle = lifecycle;
  }

  /** A connection to another node is open: runners may be added until it closes. */
  join(connection: AgentConnection): void {
    connection.tunnel.onClose(() => {
      for (const id of connection.runners.keys()) this.#lifecycle.disconnect(id, connection, true);
    });
  }

  /** The other node has this runner, or something of it has changed. */
  add(connection: AgentConnection, info: RunnerInfo, agent: RemoteAgent): void {
    if (connection.tunnel.hasEnded) return;
    if (connection.runners.has(info.id)) connection.pools.forget(info.id); // its targets may have changed
    connection.runners.set(info.id, info);
    this.#lifecycle.connectRemote(info, connection, agent);
  }

  /** The other node has it no longer. Its agent may be on the way to a third one. */
  remove(connection: AgentConnection, runnerId: string): void {
    if (!connection.runners.delete(runnerId)) return;
    connection.pools.forget(runnerId);
    this.#lifecycle.disconnect(runnerId, connection, true, true);
  }

  /** A newer process of the same credential serves the runner at another node: the one here no longer does. */
  replaced(runnerId: string): void {
    this.#lifecycle.replaceByRemote(runnerId);
  }

  /** What serves the runner here and takes new streams; undefined if nothing does. */
  localUpstream(runnerId: string): Upstream | undefined {
    return this.#entries.get(runnerId)?.upstreams.local;
  }
}
