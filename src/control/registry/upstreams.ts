/**
 * The upstreams of one runner, in the order in which they are used: the runner's own agent; its stand-bys, which are older
 * processes of the same credential that a newer one has replaced; and agents that have discovered the runner. The runner's own agent
 * at another node of a cluster comes behind the one here.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { AgentConnection } from "./agent-connection.ts";
import {
  MAX_CONNECTIONS_PER_GENERATION,
  MAX_DISCOVERERS_PER_RUNNER,
  MAX_STANDBYS_PER_RUNNER,
} from "../limits.ts";
import { Upstream } from "./upstream.ts";
import type { RemoteAgent } from "./upstream.ts";

/** What has become of a connection that was added. */
export interface Added {
  upstream: Upstream;
  isNew: boolean;
  /** It is a stand-by of another process of the same credential. */
  isStandby: boolean;
  /** The older process of the same credential that has lost the runner. */
  replaced: Upstream | undefined;
}

export class Upstreams {
  /** The runner's own agent. Kept after its last connection has closed, for the credential that may come back. */
  own: Upstream | undefined;
  #standbys: Upstream[] = [];
  #discovered: Upstream[] = [];
  /** At other nodes, the newest process first. */
  #remote: Upstream[] = [];
  #lastKnown: Upstream | undefined;

  /** Those with a connection, in the order in which they are used. */
  all(): Upstream[] {
    const fallbacks = [...this.#standbys, ...this.#discovered];
    if (this.#remote.length > 0) {
      fallbacks.unshift(...this.#remote.filter(({ isDiscovered }) => !isDiscovered));
      fallbacks.push(...this.#remote.filter(({ isDiscovered }) => isDiscovered));
    }
    const all = this.own === undefined ? fallbacks : [this.own, ...fallbacks];
    return all.filter(({ isConnected }) => isConnected);
  }

  /** The first with a connection that takes new streams; if none does, the first. */
  get inUse(): Upstream | undefined {
    const all = this.all();
    return all.find(({ isUsable }) => isUsable) ?? all[0];
  }

  /** The best connection of the one in use; undefined if none takes new streams. */
  get bestConnection(): AgentConnection | undefined {
    return this.inUse?.bestConnection;
  }

  /** What holds the runner for its credential: its own agent, here or else at another node. */
  get holder(): Upstream | undefined {
    return this.own ?? this.#remote.find(({ isDiscovered }) => !isDiscovered);
  }

  /** The first at this node with a connection that takes new streams. */
  get local(): Upstream | undefined {
    return this.all().find(({ isRemote, isUsable }) => !isRemote && isUsable);
  }

  /** The one in use, or else the last that was. */
  get known(): Upstream | undefined {
    return this.inUse ?? this.#lastKnown;
  }

  of(connection: AgentConnection): Upstream | undefined {
    return this.all().find(({ connections }) => connections.has(connection));
  }

  /** @throws TurnaboutError `overloaded`, `runner_taken` if a bound does not allow this connection */
  checkRoom(runnerId: string, connection: AgentConnection, discovered: boolean): void {
    const upstream = this.#find(connection, discovered);
    const max = MAX_CONNECTIONS_PER_GENERATION;
    if (upstream !== undefined && !upstream.connections.has(connection) && upstream.connections.size >= max) {
      throw new TurnaboutError("overloaded", `register ${runnerId}: more than ${max} connections`);
    }
    if (!discovered && !this.hasRoomFor(connection.processId, connection.standby)) {
      const reason = `a newer agent serves it, and ${MAX_STANDBYS_PER_RUNNER} others already stand by`;
      throw new TurnaboutError("runner_taken", `register ${runnerId}: ${reason}`);
    }
    if (discovered && upstream === undefined && this.#discovered.length >= MAX_DISCOVERERS_PER_RUNNER) {
      const reason = `more than ${MAX_DISCOVERERS_PER_RUNNER} agents have discovered it`;
      throw new TurnaboutError("overloaded", `register ${runnerId}: ${reason}`);
    }
  }

  /** False if this process could only stand by, and the maximum of stand-bys is reached. */
  hasRoomFor(processId: string | undefined, standby: boolean): boolean {
    if (!standby || this.own?.isConnected !== true) return true;
    if (this.own.processId === processId || this.#standbys.length < MAX_STANDBYS_PER_RUNNER) return true;
    return this.#standbys.some((upstream) => upstream.processId === processId);
  }

  add(info: RunnerInfo, connection: AgentConnection): Added {
    const discovered = info.discovered === true;
    const known = this.#find(connection, discovered);
    const upstream = known ?? Upstream.of(connection, discovered);
    // A stand-by remains one, also with a connection that it dialled before it learned that it was replaced.
    const isStandby =
      !discovered &&
      upstream !== this.own &&
      this.own?.isConnected === true &&
      (connection.standby || known !== undefined);
    let replaced: Upstream | undefined;
    if (discovered) {
      if (known === undefined) this.#insertDiscovered(upstream, connection.standby);
    } else if (isStandby) {
      if (known === undefined) this.demote(upstream);
    } else if (upstream !== this.own) {
      replaced = this.own;
      this.#standbys = this.#standbys.filter((other) => other !== upstream);
      this.own = upstream;
    }
    upstream.connections.add(connection);
    upstream.info = info;
    if (!isStandby) this.#lastKnown = upstream;
    return { upstream, isNew: known === undefined, isStandby, replaced };
  }

  /** Another node has it. @returns undefined if the connection has it already, and something of it may have changed */
  addRemote(info: RunnerInfo, connection: AgentConnection, agent: RemoteAgent): Upstream | undefined {
    const known = this.#remote.find(({ connections }) => connections.has(connection));
    const isSame = known?.processId === agent.processId && known.credential === agent.credentialId;
    if (known !== undefined && isSame) {
      known.info = info;
      return undefined;
    }
    this.#remote = this.#remote.filter((other) => other !== known);
    const upstream = Upstream.remote(agent);
    upstream.connections.add(connection);
    upstream.info = info;
    const older = this.#remote.findIndex(({ bootEpochMs }) => bootEpochMs < upstream.bootEpochMs);
    this.#remote.splice(older < 0 ? this.#remote.length : older, 0, upstream);
    this.#lastKnown = upstream;
    return upstream;
  }

  /** Makes it a stand-by, with its connections. The newest process comes first. */
  demote(upstream: Upstream): void {
    const older = this.#standbys.findIndex(({ bootEpochMs }) => bootEpochMs <= upstream.bootEpochMs);
    if (older < 0) this.#standbys.push(upstream);
    else this.#standbys.splice(older, 0, upstream);
  }

  /** Makes the next stand-by the runner's own agent. Undefined if there is none. */
  promote(): Upstream | undefined {
    const next = this.#standbys.find(({ isUsable }) => isUsable) ?? this.#standbys[0];
    if (next === undefined) return undefined;
    this.#standbys = this.#standbys.filter((upstream) => upstream !== next);
    this.own = next;
    this.#lastKnown = next;
    return next;
  }

  /** True if this was its last connection. A stand-by or a discoverer is then forgotten; the runner's own agent is kept. */
  removeConnection(connection: AgentConnection, upstream: Upstream): boolean {
    if (!upstream.connections.delete(connection) || upstream.isConnected) return false;
    this.#standbys = this.#standbys.filter((other) => other !== upstream);
    this.#discovered = this.#discovered.filter((other) => other !== upstream);
    this.#remote = this.#remote.filter((other) => other !== upstream);
    return true;
  }

  #find({ processId, identity }: AgentConnection, discovered: boolean): Upstream | undefined {
    if (!discovered) {
      if (this.own?.processId === processId) return this.own;
      return this.#standbys.find((upstream) => upstream.processId === processId);
    }
    return this.#discovered.find(
      (upstream) => upstream.processId === processId && upstream.credential === identity.id,
    );
  }

  /** Last, but before an older process of the same credential, unless it only stands by. */
  #insertDiscovered(upstream: Upstream, standby: boolean): void {
    const older = this.#discovered.findIndex(({ credential }) => credential === upstream.credential);
    if (older < 0 || standby) this.#discovered.push(upstream);
    else this.#discovered.splice(older, 0, upstream);
  }
}
