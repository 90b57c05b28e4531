/**
 * Who is connected, where, since when, with which generation. A generation is one agent process (its instance id) with
 * all its connections; a newer one of the same credential replaces it, and its own late close removes nothing. An agent
 * that has only discovered a runner never holds it against the runner's own agent: it is used while that one is not there.
 *
 *     never-seen ──connect──▶ connected ──last connection closed──▶ reconnecting ──grace over──▶ gone
 *                                 ▲──────────────── connect ──────────────┴───────────────────────┘
 */
import { hasEnded } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../../wire/limits.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Identity } from "../auth/identity.ts";
import {
  ARRIVAL_STREAMS_PER_TARGET,
  GRACE_MS,
  MAX_WAIT_MS,
  RELEASE_DIVISOR,
  RELEASE_PAUSE_MS,
  RELEASE_STREAMS_PER_TARGET,
} from "../limits.ts";
import { Entries } from "./entries.ts";
import type { Entry, RunnerState } from "./entries.ts";
import type { Wait } from "./wait-queue.ts";
import { bestOf, busyStreams, expectedWay, freeStreams, mostIdle, openStreams } from "./upstreams.ts";
import type { Way } from "./upstreams.ts";

export type { RunnerState };

export type RegistryEvent =
  | { type: "connected"; runner: string; connection: string; restarted: boolean }
  | { type: "replaced"; runner: string }
  /** The runner stays connected, by way of whoever has discovered it, or again by its own agent. */
  | { type: "rerouted"; runner: string; discovered: boolean }
  | { type: "lost"; runner: string }
  | { type: "grace-expired"; runner: string };

export interface RunnerView {
  id: string;
  state: RunnerState;
  since: Date;
  info: RunnerInfo | undefined;
  unhealthy: ReadonlySet<string>;
  credential: string | undefined;
  bootEpochMs: number | undefined;
  /** The way in use is that of an agent that has discovered the runner. */
  discovered: boolean;
  connections: readonly AgentConnection[];
  /** Connections of agents that would be used if those in use were not there. */
  behind: readonly AgentConnection[];
  waitingDials: number;
}

export interface WaitOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds to wait for a runner that is not connected. Default 0: only a grace is waited out. */
  waitMs?: number | undefined;
  /** Whose share of the waiting dials it takes: the id of a credential. Default: this process itself. */
  caller?: string | undefined;
  target?: string | undefined;
  /** It takes over a stream that lies idle for the target's next request. */
  reusesStreams?: boolean | undefined;
  /** The agent has refused this dial because the target has too many streams: it waits for its turn, or fails with this. */
  crowded?: TurnaboutError | undefined;
}

export interface RegistryOptions {
  graceMs?: number | undefined;
  onEvent?: ((event: RegistryEvent) => void) | undefined;
  /** A connection has lost one of its runners to a newer agent, and goes on with the others. */
  onReplaced?: ((connection: AgentConnection, runnerId: string) => void) | undefined;
}

/** A runner that a connection may not serve: its others stay. */
export interface RefusedRunner {
  info: RunnerInfo;
  error: Error;
}

export class Registry {
  readonly #entries = new Entries();
  readonly #graceMs: number;
  readonly #onEvent: (event: RegistryEvent) => void;
  readonly #onReplaced: (connection: AgentConnection, runnerId: string) => void;
  #closed = false;

  constructor(options: RegistryOptions = {}) {
    this.#graceMs = options.graceMs ?? GRACE_MS;
    this.#onEvent = options.onEvent ?? (() => {});
    this.#onReplaced = options.onReplaced ?? (() => {});
  }

  /**
   * May this agent register these runners of its own now?
   *
   * @throws TurnaboutError `not_allowed`, or `runner_taken` if another credential holds one of them, or this instance
   * only stands by and there is no room for it
   */
  check(
    runnerIds: readonly string[],
    identity: Identity,
    instance: string | undefined,
    standby: boolean,
  ): void {
    for (const id of runnerIds) {
      checkAllowed(id, identity);
      const entry = this.#entries.get(id);
      const own = entry?.ways.own;
      if (entry === undefined || own === undefined || entry.state === "gone") continue;
      if (own.credential !== identity.id) {
        throw new TurnaboutError("runner_taken", `register ${id}: another credential holds this runner`);
      }
      if (!entry.ways.hasRoomFor(instance, standby)) {
        throw new TurnaboutError("runner_taken", `register ${id}: too many agents stand by for it already`);
      }
    }
  }

  /**
   * Enters a connection for all its runners. One of its own that is refused refuses them all; one that it has only
   * discovered is left out.
   *
   * @throws TurnaboutError as {@link check}, or `overloaded`, `control_plane_draining`
   */
  register(connection: AgentConnection): RefusedRunner[] {
    if (this.#closed) throw new TurnaboutError("control_plane_draining", "register: shutting down");
    // Its 'close' has been emitted already: nothing would ever take it out again.
    if (hasEnded(connection.session)) throw new TurnaboutError("tunnel_lost", "register: the agent has left");
    const runners = [...connection.runners.values()];
    const own = runners.filter(({ discovered }) => discovered !== true);
    for (const info of own) this.#check(info, connection);
    const refused: RefusedRunner[] = [];
    for (const info of runners) {
      try {
        if (info.discovered === true) this.#check(info, connection);
        this.#enter(info, connection);
      } catch (error) {
        if (!(error instanceof TurnaboutError)) throw error;
        connection.runners.delete(info.id);
        refused.push({ info, error });
      }
    }
    connection.session.once("close", () => this.#leave(connection));
    return refused;
  }

  /** A living connection announces a further runner. @throws TurnaboutError as {@link check} */
  addRunner(connection: AgentConnection, info: RunnerInfo): void {
    const { runners } = connection;
    if (!runners.has(info.id) && runners.size >= MAX_RUNNERS_PER_CONNECTION) {
      throw new TurnaboutError(
        "overloaded",
        `register ${info.id}: more than ${MAX_RUNNERS_PER_CONNECTION} runners`,
      );
    }
    this.#check(info, connection);
    const entry = this.#entries.of(info.id);
    const before = entry.ways.of(connection);
    connection.pools.forget(info.id); // its targets may be others now
    connection.runners.set(info.id, info);
    const way = this.#enter(info, connection);
    way.unhealthy.clear(); // its targets may be others now; what is down is told again
    if (before === undefined || before === way) return;
    // It has become the agent's own, or is so no more.
    if (entry.ways.leave(connection, before) && entry.ways.own === before) {
      entry.ways.own = undefined;
      this.#takeOver(entry, before);
    }
    this.#noteRoute(entry);
  }

  /** A living connection withdraws a runner: no grace, it will not come back by itself. */
  removeRunner(connection: AgentConnection, runnerId: string): void {
    connection.refused.delete(runnerId);
    if (!connection.runners.delete(runnerId)) return;
    connection.pools.forget(runnerId);
    this.#take(runnerId, connection, false);
  }

  setTargetHealth(connection: AgentConnection, runnerId: string, target: string, healthy: boolean): void {
    const way = this.#entries.get(runnerId)?.ways.of(connection);
    if (way === undefined) return;
    if (healthy) way.unhealthy.delete(target);
    else if (way.info?.targets.some(({ name }) => name === target) === true) way.unhealthy.add(target);
  }

  /** The best connection of a connected runner; undefined if there is none that takes new streams. */
  pick(runnerId: string): AgentConnection | undefined {
    const way = this.#entries.get(runnerId)?.ways.inUse;
    return way === undefined ? undefined : bestOf(way);
  }

  /**
   * The best connection, waited for where that makes sense: within the grace after a loss, or as long as `waitMs` says.
   * Everything else is answered at once.
   *
   * @throws TurnaboutError `runner_unknown`, `runner_offline`, `overloaded`, `aborted`
   */
  async acquire(runnerId: string, options: WaitOptions = {}): Promise<AgentConnection> {
    const waitMs = Math.min(options.waitMs ?? 0, MAX_WAIT_MS);
    const startedAt = performance.now();
    const { caller = "", target = "", crowded } = options;
    for (let isTurn = false; ;) {
      const connection = this.pick(runnerId);
      // Whoever comes while others wait for the same target lines up behind them.
      if (connection !== undefined && (isTurn || !this.#mustQueue(runnerId, target, crowded))) {
        return this.#withStream(runnerId, target, options) ?? connection;
      }
      if (options.signal?.aborted === true) throw new TurnaboutError("aborted", `dial ${runnerId}: given up`);
      const state = this.state(runnerId);
      // Connected without a usable connection: all of them drain, and the agent is about to come back.
      const inGrace = state === "reconnecting" || state === "connected";
      // Counted from the start of this dial: an agent that comes and goes cannot hold it for ever.
      const graceMs = connection === undefined ? this.#graceMs : GRACE_MS;
      const leftMs = startedAt + (inGrace ? Math.max(waitMs, graceMs) : waitMs) - performance.now();
      if (this.#closed || leftMs <= 0) {
        if (this.#closed || connection === undefined) throw this.#absent(runnerId, state);
        throw new TurnaboutError("overloaded", `dial ${runnerId} ${target}: all its streams are in use`);
      }
      isTurn = await this.#wait(runnerId, { caller, target, timeoutMs: leftMs, signal: options.signal });
    }
  }

  /** @throws TurnaboutError `crowded`, where waiting would be in vain */
  #mustQueue(runnerId: string, target: string, crowded: TurnaboutError | undefined): boolean {
    const entry = this.#entries.get(runnerId);
    const way = entry?.ways.inUse;
    if (entry === undefined || way === undefined) return false;
    const most = crowded === undefined ? ARRIVAL_STREAMS_PER_TARGET : RELEASE_STREAMS_PER_TARGET;
    const hasRoom = busyStreams(way, { runner: runnerId, target }) < most;
    const isStalled = entry.crowds.look(target, hasRoom);
    if (crowded !== undefined && isStalled) throw crowded;
    if (entry.waiting.size > 0 && entry.waiting.isQueued(target)) return true;
    return crowded !== undefined || (!hasRoom && !isStalled);
  }

  /** At a target with many streams those that lie idle are used, or make room, on whichever connection they are. */
  #withStream(runner: string, target: string, { reusesStreams }: WaitOptions): AgentConnection | undefined {
    const way = this.#entries.get(runner)?.ways.inUse;
    const destination = { runner, target };
    if (way === undefined || openStreams(way, destination) < RELEASE_STREAMS_PER_TARGET) return undefined;
    if (reusesStreams === true) return mostIdle(way, destination);
    for (const { pools } of way.connections) pools.dropIdle(destination);
    return undefined;
  }

  state(runnerId: string): RunnerState {
    return this.#entries.get(runnerId)?.state ?? "never-seen";
  }

  view(runnerId: string): RunnerView | undefined {
    const entry = this.#entries.get(runnerId);
    return entry === undefined || entry.state === "never-seen" ? undefined : viewOf(entry);
  }

  list(): RunnerView[] {
    return this.#entries.seen().map(viewOf);
  }

  connections(): Set<AgentConnection> {
    const ways = this.#entries.all().flatMap((entry) => entry.ways.all());
    return new Set(ways.flatMap(({ connections }) => [...connections]));
  }

  waitingDials(): number {
    return this.#entries.all().reduce((sum, { waiting }) => sum + waiting.size, 0);
  }

  /** The credential of the runner's own agent, also while that is away; undefined if it has none. */
  ownCredential(runnerId: string): string | undefined {
    return this.#entries.get(runnerId)?.ways.own?.credential;
  }

  /**
   * A runner that was connected before this process started: awaited as in a grace, and held for its credential,
   * because after a restart unknown is not absent. Without a credential it was discovered, and nobody holds it.
   */
  expect(runnerId: string, credential: string | undefined, warmUpMs: number): void {
    if (this.#entries.get(runnerId) !== undefined) return;
    const entry = this.#entries.of(runnerId);
    if (credential !== undefined) entry.ways.own = expectedWay(credential);
    this.#entries.setState(entry, "reconnecting");
    this.#startGrace(entry, warmUpMs);
  }

  /** Wakes and refuses all who wait; no timer stays behind. */
  close(): void {
    this.#closed = true;
    for (const { id, graceTimer, releaseTimer, waiting } of this.#entries.all()) {
      clearTimeout(graceTimer);
      clearTimeout(releaseTimer);
      waiting.fail(new TurnaboutError("control_plane_draining", `dial ${id}: the control plane shuts down`));
    }
  }

  #check(info: RunnerInfo, connection: AgentConnection): void {
    const { hello, identity } = connection;
    const discovered = info.discovered === true;
    if (discovered) checkAllowed(info.id, identity);
    else this.check([info.id], identity, hello.instance, connection.standby);
    this.#entries.get(info.id)?.ways.checkRoom(info.id, connection, discovered);
  }

  #enter(info: RunnerInfo, connection: AgentConnection): Way {
    const entry = this.#entries.of(info.id);
    const { ways } = entry;
    const { hello } = connection;
    const discovered = info.discovered === true;
    if (discovered && entry.state === "gone") ways.own = undefined; // nobody holds what was gone
    const before = ways.own?.bootEpochMs;
    const { way, isNew, standsBy, replaced } = ways.enter(info, connection);
    if (standsBy) {
      this.#letGo(entry); // the one before it may be draining
      return way;
    }
    const restarted = !discovered && isRestart(before, hello.bootEpochMs);
    // Whoever has discovered it does not shorten the time in which its own agent's place is kept.
    if (ways.own === undefined || ways.own.connections.size > 0) this.#endGrace(entry);
    if (entry.state !== "connected") this.#entries.setState(entry, "connected");
    if (isNew && replaced !== undefined && replaced.connections.size > 0) this.#release(entry, replaced);
    this.#onEvent({ type: "connected", runner: info.id, connection: connection.id, restarted });
    this.#noteRoute(entry);
    this.#letGo(entry);
    return way;
  }

  /**
   * The older generation loses this runner. Connections that have known that they are not the newest stand by as they
   * are; of the others, one that serves no other runner is drained.
   */
  #release({ id, ways }: Entry, old: Way): void {
    this.#onEvent({ type: "replaced", runner: id });
    for (const connection of old.connections) {
      if (connection.standby) continue;
      old.connections.delete(connection);
      connection.runners.delete(id);
      if (connection.runners.size === 0) connection.drain("replaced", `a newer agent serves ${id}`);
      else this.#onReplaced(connection, id);
    }
    if (old.connections.size > 0) ways.demote(old);
  }

  /** Whoever stands by serves from this moment on. False if nobody does. */
  #takeOver(entry: Entry, lost: Way): boolean {
    const next = entry.ways.promote();
    const [connection] = next?.connections ?? [];
    if (next === undefined || connection === undefined) return false;
    this.#endGrace(entry);
    this.#onEvent({ type: "lost", runner: entry.id });
    const restarted = isRestart(lost.bootEpochMs, next.bootEpochMs);
    this.#onEvent({ type: "connected", runner: entry.id, connection: connection.id, restarted });
    this.#noteRoute(entry);
    this.#letGo(entry);
    return true;
  }

  /** Only a connection that is still among its runner's can take the runner away. */
  #leave(connection: AgentConnection): void {
    for (const id of connection.runners.keys()) this.#take(id, connection, true);
  }

  #take(runnerId: string, connection: AgentConnection, mayComeBack: boolean): void {
    const entry = this.#entries.get(runnerId);
    const way = entry?.ways.of(connection);
    if (entry === undefined || way === undefined) return;
    const { ways } = entry;
    if (!ways.leave(connection, way)) return;
    if (way === ways.own && this.#takeOver(entry, way)) return;
    // Behind the one that serves it.
    if (!way.discovered && way !== ways.own) return;
    // Its own agent's place is kept for it, whoever carries on meanwhile.
    if (!way.discovered && mayComeBack) this.#startGrace(entry, this.#graceMs);
    if (!way.discovered && !mayComeBack) this.#endGrace(entry);
    if (ways.inUse !== undefined) {
      if (!way.discovered && !mayComeBack) ways.own = undefined;
      this.#noteRoute(entry);
      return this.#letGo(entry);
    }
    entry.route = undefined;
    this.#onEvent({ type: "lost", runner: runnerId });
    if (way.discovered && mayComeBack) this.#startGrace(entry, this.#graceMs);
    if (entry.graceTimer === undefined && !this.#closed) return this.#toGone(entry);
    this.#entries.setState(entry, "reconnecting");
  }

  #startGrace(entry: Entry, graceMs: number): void {
    this.#endGrace(entry);
    if (this.#closed) return; // nobody waits any more
    entry.graceTimer = setTimeout(() => this.#graceOver(entry), graceMs);
    entry.graceTimer.unref();
  }

  #endGrace(entry: Entry): void {
    clearTimeout(entry.graceTimer);
    entry.graceTimer = undefined;
  }

  #graceOver(entry: Entry): void {
    this.#endGrace(entry);
    // Its own agent has not come back, but others still reach the runner: nobody holds it any more.
    if (entry.ways.inUse !== undefined) entry.ways.own = undefined;
    else this.#toGone(entry);
  }

  #toGone(entry: Entry): void {
    this.#endGrace(entry);
    this.#entries.setState(entry, "gone");
    this.#onEvent({ type: "grace-expired", runner: entry.id });
    entry.waiting.wakeAll(); // each decides by its own deadline
  }

  #noteRoute(entry: Entry): void {
    const discovered = entry.ways.inUse?.discovered;
    const isOther = entry.route !== undefined && discovered !== undefined && entry.route !== discovered;
    entry.route = discovered;
    if (isOther) this.#onEvent({ type: "rerouted", runner: entry.id, discovered });
  }

  /** True if its turn has come. */
  async #wait(runnerId: string, wait: Wait): Promise<boolean> {
    const entry = this.#entries.awaited(runnerId, wait.caller);
    try {
      const woken = entry.waiting.wait(runnerId, wait);
      this.#letGo(entry);
      return (await woken) === "turn";
    } finally {
      this.#entries.forgetUnseen(runnerId);
    }
  }

  /**
   * Waiting dials go on, as many as the agent takes. What they open is seen in the turn that follows, so that there is one
   * look at a time, and the next one a little later.
   */
  #letGo(entry: Entry): void {
    if (entry.waiting.size === 0 || entry.releaseTimer !== undefined || this.#closed) return;
    const way = entry.ways.inUse;
    if (way === undefined || bestOf(way) === undefined) return; // they are let go when there is one
    const rooms = new Map<string, number>();
    let streams = freeStreams(way);
    entry.waiting.release((target) => {
      const room = rooms.get(target) ?? releaseRoom(busyStreams(way, { runner: entry.id, target }));
      if (!rooms.has(target) && entry.crowds.look(target, room > 0)) rooms.set(target, Infinity);
      else rooms.set(target, room);
      if ((rooms.get(target) ?? 0) <= 0 || streams <= 0) return false;
      rooms.set(target, (rooms.get(target) ?? 0) - 1);
      streams -= 1;
      return true;
    });
    entry.releaseTimer = setTimeout(() => {
      entry.releaseTimer = undefined;
      this.#letGo(entry);
    }, RELEASE_PAUSE_MS);
    entry.releaseTimer.unref();
  }

  #absent(runnerId: string, state: RunnerState): TurnaboutError {
    if (this.#closed) return new TurnaboutError("control_plane_draining", `dial ${runnerId}: shutting down`);
    return state === "never-seen"
      ? new TurnaboutError("runner_unknown", `dial ${runnerId}: no such runner has connected`)
      : new TurnaboutError("runner_offline", `dial ${runnerId}: not connected (${state})`);
  }
}

function checkAllowed(id: string, identity: Identity): void {
  if (identity.mayRegister(id)) return;
  throw new TurnaboutError("not_allowed", `register ${id}: ${identity.id} may not register this runner`);
}

function isRestart(before = 0, now: number): boolean {
  return before !== 0 && before !== now;
}

function releaseRoom(busy: number): number {
  return Math.ceil((RELEASE_STREAMS_PER_TARGET - busy) / RELEASE_DIVISOR);
}

function viewOf({ id, state, since, ways, waiting }: Entry): RunnerView {
  const { inUse } = ways;
  const way = ways.known ?? ways.own;
  return {
    id,
    state,
    since,
    info: way?.info,
    unhealthy: way?.unhealthy ?? new Set(),
    credential: way?.credential,
    bootEpochMs: way?.bootEpochMs,
    discovered: way?.discovered === true,
    connections: [...(inUse?.connections ?? [])],
    behind: ways
      .all()
      .filter((other) => other !== inUse)
      .flatMap(({ connections }) => [...connections]),
    waitingDials: waiting.size,
  };
}
