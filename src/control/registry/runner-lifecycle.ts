/**
 * What happens to a runner as connections of its agents come and go: replacement, take-over by a stand-by, grace, and the
 * events that report them.
 *
 *     never-seen ──connect──▶ connected ──last connection closed──▶ reconnecting ──grace over──▶ gone
 *                                 ▲──────────────── connect ──────────────┴───────────────────────┘
 */
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Entries, Entry } from "./entries.ts";
import { Upstream } from "./upstream.ts";
import type { RemoteAgent } from "./upstream.ts";
import type { WaitingDials } from "./waiting-dials.ts";

export type RegistryEvent =
  | { type: "connected"; runner: string; connection: string; restarted: boolean }
  | { type: "replaced"; runner: string }
  /** The runner stays connected, now through an agent that has discovered it, or through its own agent again. */
  | { type: "rerouted"; runner: string; discovered: boolean }
  /** The connection is the last one that served it. */
  | {
      type: "lost";
      runner: string;
      connection?: string | undefined;
      reason?: string | undefined;
      left?: true;
    }
  /** `left` in both: nothing was lost, because its agent shut down or has withdrawn it. */
  | { type: "grace-expired"; runner: string; left?: true };

export interface LifecycleParts {
  entries: Entries;
  dials: WaitingDials;
  graceMs: number;
  /** @param connection the one that the event names */
  onEvent: (event: RegistryEvent, connection?: AgentConnection) => void;
  /** A connection has lost one of its runners to a newer agent, and keeps the others. */
  onReplaced: (connection: AgentConnection, runnerId: string) => void;
}

export class RunnerLifecycle {
  readonly #parts: LifecycleParts;
  #closed = false;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  /** A connection registers a runner. */
  connect(info: RunnerInfo, connection: AgentConnection): Upstream {
    const { entries, dials, onEvent } = this.#parts;
    const entry = entries.getOrCreate(info.id);
    const { upstreams } = entry;
    const { hello } = connection;
    const discovered = info.discovered === true;
    if (discovered && entry.state === "gone") upstreams.own = undefined; // its credential no longer holds it
    const before = upstreams.own?.bootEpochMs;
    const { upstream, isNew, isStandby, replaced } = upstreams.add(info, connection);
    if (isStandby) {
      dials.release(entry); // the one in use may be draining
      return upstream;
    }
    const restarted = !discovered && isRestart(before, hello.bootEpochMs);
    // A discoverer does not shorten the time for which the runner is kept for its own agent.
    if (upstreams.own === undefined || upstreams.own.isConnected) endGrace(entry);
    if (entry.state !== "connected") entries.setState(entry, "connected");
    if (isNew && replaced?.isConnected === true) this.#replace(entry, replaced);
    onEvent({ type: "connected", runner: info.id, connection: connection.id, restarted }, connection);
    this.#reportRoute(entry);
    dials.release(entry);
    return upstream;
  }

  /** Another node has the runner: it is used where the runner's own agent is not connected here. */
  connectRemote(info: RunnerInfo, connection: AgentConnection, agent: RemoteAgent): void {
    const { entries, dials, onEvent } = this.#parts;
    const entry = entries.getOrCreate(info.id);
    const { upstreams } = entry;
    if (entry.state === "gone") upstreams.own = undefined;
    const added = upstreams.addRemote(info, connection, agent);
    if (upstreams.own === undefined || upstreams.own.isConnected) endGrace(entry);
    if (entry.state !== "connected") entries.setState(entry, "connected");
    if (added !== undefined) {
      onEvent({ type: "connected", runner: info.id, connection: connection.id, restarted: false });
    }
    this.#reportRoute(entry);
    dials.release(entry);
  }

  /** A newer process of the same credential serves the runner at another node. */
  replaceByRemote(runnerId: string): void {
    const entry = this.#parts.entries.get(runnerId);
    const own = entry?.upstreams.own;
    if (entry === undefined || own?.isConnected !== true || own.isRemote) return;
    entry.upstreams.own = undefined;
    this.#replace(entry, own);
    this.#reportRoute(entry);
    this.#parts.dials.release(entry);
  }

  /** A connection registers a runner anew: its targets may have changed, or whether it is the agent's own. */
  update(info: RunnerInfo, connection: AgentConnection): void {
    const entry = this.#parts.entries.getOrCreate(info.id);
    const { upstreams } = entry;
    const before = upstreams.of(connection);
    const upstream = this.connect(info, connection);
    upstream.unhealthy.clear(); // the agent reports again what is down
    if (before === undefined || before === upstream) return;
    if (upstreams.removeConnection(connection, before) && upstreams.own === before) {
      upstreams.own = undefined;
      this.#takeOver(entry, before, connection);
    }
    this.#reportRoute(entry);
  }

  /**
   * @param mayComeBack the connection was lost; false if the agent has withdrawn the runner
   * @param hasLeft it was not lost: its agent has shut down, or another node, which had it, reports the end
   */
  disconnect(
    runnerId: string,
    connection: AgentConnection,
    mayComeBack: boolean,
    hasLeft: boolean = connection.hasLeft || !mayComeBack,
  ): void {
    const { entries, dials, graceMs, onEvent } = this.#parts;
    const entry = entries.get(runnerId);
    const upstream = entry?.upstreams.of(connection);
    if (entry === undefined || upstream === undefined) return; // it has lost the runner already
    const { upstreams } = entry;
    if (!upstreams.removeConnection(connection, upstream)) return;
    if (upstream === upstreams.own && this.#takeOver(entry, upstream, connection)) return;
    const wasStandby = !upstream.discovered && upstream !== upstreams.own;
    if (wasStandby) return;
    // The runner is kept for its own agent, whichever agent serves it meanwhile.
    if (!upstream.discovered && mayComeBack) this.#startGrace(entry, graceMs);
    if (!upstream.discovered && !mayComeBack) endGrace(entry);
    // Dials wait all the same: the agent may get another credential, and then comes back.
    if (upstream === upstreams.own && connection.isRevoked) upstreams.own = undefined;
    if (upstreams.inUse !== undefined) {
      if (!upstream.discovered && !mayComeBack) upstreams.own = undefined;
      this.#reportRoute(entry);
      return dials.release(entry);
    }
    entry.reportedDiscovered = undefined;
    entry.hasLeft = hasLeft;
    onEvent({ ...lossOf(runnerId, connection, mayComeBack), ...(hasLeft && { left: true }) }, connection);
    if (upstream.discovered && mayComeBack) this.#startGrace(entry, graceMs);
    if (entry.graceTimer === undefined && !this.#closed) return this.#toGone(entry);
    entries.setState(entry, "reconnecting");
  }

  /** See {@link Registry.expectReturn}. */
  expectReturn(runnerId: string, credential: string | undefined, warmUpMs: number): void {
    const { entries } = this.#parts;
    if (entries.get(runnerId) !== undefined) return;
    const entry = entries.getOrCreate(runnerId);
    if (credential !== undefined) entry.upstreams.own = Upstream.expected(credential);
    entries.setState(entry, "reconnecting");
    this.#startGrace(entry, warmUpMs);
  }

  close(): void {
    this.#closed = true;
    for (const entry of this.#parts.entries.all()) clearTimeout(entry.graceTimer);
  }

  /**
   * The older process loses this runner. Its connections that know that they are not the newest stay as stand-bys; of the
   * others, one that serves no other runner is drained.
   */
  #replace({ id, upstreams }: Entry, old: Upstream): void {
    this.#parts.onEvent({ type: "replaced", runner: id });
    for (const connection of old.connections) {
      if (connection.standby) continue;
      old.connections.delete(connection);
      connection.runners.delete(id);
      if (connection.runners.size === 0) connection.drain("replaced", `a newer agent serves ${id}`);
      else this.#parts.onReplaced(connection, id);
    }
    if (old.isConnected) upstreams.demote(old);
  }

  /** The next stand-by serves the runner. False if there is none. */
  #takeOver(entry: Entry, lost: Upstream, lostConnection: AgentConnection): boolean {
    const next = entry.upstreams.promote();
    const [connection] = next?.connections ?? [];
    if (next === undefined || connection === undefined) return false;
    const { onEvent, dials } = this.#parts;
    endGrace(entry);
    const left = lostConnection.hasLeft && { left: true as const };
    onEvent({ ...lossOf(entry.id, lostConnection, true), ...left }, lostConnection);
    const restarted = isRestart(lost.bootEpochMs, next.bootEpochMs);
    onEvent({ type: "connected", runner: entry.id, connection: connection.id, restarted }, connection);
    this.#reportRoute(entry);
    dials.release(entry);
    return true;
  }

  #startGrace(entry: Entry, graceMs: number): void {
    endGrace(entry);
    if (this.#closed) return; // no dial waits now
    entry.graceTimer = setTimeout(() => this.#graceOver(entry), graceMs);
    entry.graceTimer.unref();
  }

  #graceOver(entry: Entry): void {
    endGrace(entry);
    // Its own agent has not come back. If others still reach the runner, it is no longer held for a credential.
    if (entry.upstreams.inUse !== undefined) entry.upstreams.own = undefined;
    else this.#toGone(entry);
  }

  #toGone(entry: Entry): void {
    endGrace(entry);
    this.#parts.entries.setState(entry, "gone");
    const left = entry.hasLeft && { left: true as const };
    this.#parts.onEvent({ type: "grace-expired", runner: entry.id, ...left });
    entry.waiting.wakeAll(); // each decides by its own deadline
  }

  #reportRoute(entry: Entry): void {
    const discovered = entry.upstreams.inUse?.isDiscovered;
    const before = entry.reportedDiscovered;
    entry.reportedDiscovered = discovered;
    if (before === undefined || discovered === undefined || before === discovered) return;
    this.#parts.onEvent({ type: "rerouted", runner: entry.id, discovered });
  }
}

function lossOf(runner: string, connection: AgentConnection, mayComeBack: boolean): RegistryEvent {
  const reason = mayComeBack ? connection.endReason : "the agent no longer offers the runner";
  return { type: "lost", runner, connection: connection.id, reason };
}

function endGrace(entry: Entry): void {
  clearTimeout(entry.graceTimer);
  entry.graceTimer = undefined;
}

function isRestart(before = 0, now: number): boolean {
  return before !== 0 && now !== 0 && before !== now; // 0 is unknown
}
