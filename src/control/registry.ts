/**
 * Who is connected, where, since when, with which generation. A generation is one agent process (its instance id) with
 * all its connections; a newer one of the same credential replaces it, and its own late close removes nothing.
 *
 *     never-seen ──connect──▶ connected ──last connection closed──▶ reconnecting ──grace over──▶ gone
 *                                 ▲──────────────── connect ──────────────┴───────────────────────┘
 */
import { setMaxListeners } from "node:events";
import { TurnaboutError } from "../wire/errors.ts";
import type { RunnerInfo } from "../wire/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../wire/limits.ts";
import type { AgentConnection } from "./connection.ts";
import type { Identity } from "./auth/identity.ts";
import {
  GRACE_MS,
  MAX_AWAITED_UNKNOWN_RUNNERS,
  MAX_CONNECTIONS_PER_GENERATION,
  MAX_GONE_RUNNERS,
  MAX_WAIT_MS,
  WAITING_DIALS_PER_RUNNER,
} from "./limits.ts";

export type RunnerState = "never-seen" | "connected" | "reconnecting" | "gone";

export type RegistryEvent =
  | { type: "connected"; runner: string; connection: string; restarted: boolean }
  | { type: "replaced"; runner: string }
  | { type: "lost"; runner: string }
  | { type: "grace-expired"; runner: string };

interface Generation {
  instance: string;
  bootEpochMs: number;
  credential: string;
  connections: Set<AgentConnection>;
}

interface Waiter {
  wake(): void;
  fail(error: TurnaboutError): void;
}

interface Entry {
  id: string;
  state: RunnerState;
  /** When the present state began. */
  since: Date;
  /** Kept after its last connection has gone, for the credential that may come back. */
  generation: Generation | undefined;
  info: RunnerInfo | undefined;
  /** Targets whose last connect failed, as the agent reports it. */
  unhealthy: Set<string>;
  waiters: Set<Waiter>;
  graceTimer: NodeJS.Timeout | undefined;
}

export interface RunnerView {
  id: string;
  state: RunnerState;
  since: Date;
  info: RunnerInfo | undefined;
  unhealthy: ReadonlySet<string>;
  credential: string | undefined;
  bootEpochMs: number | undefined;
  connections: readonly AgentConnection[];
  waitingDials: number;
}

export interface WaitOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds to wait for a runner that is not connected. Default 0: only a grace is waited out. */
  waitMs?: number | undefined;
}

export interface RegistryOptions {
  graceMs?: number | undefined;
  onEvent?: ((event: RegistryEvent) => void) | undefined;
}

export class Registry {
  readonly #entries = new Map<string, Entry>();
  readonly #graceMs: number;
  readonly #onEvent: (event: RegistryEvent) => void;
  #unknownAwaited = 0;
  #goneCount = 0;
  #closed = false;

  constructor(options: RegistryOptions = {}) {
    this.#graceMs = options.graceMs ?? GRACE_MS;
    this.#onEvent = options.onEvent ?? (() => {});
  }

  /**
   * May this agent register these runners now?
   *
   * @throws TurnaboutError `not_allowed`, or `runner_taken` if another credential holds one of them, or another
   * instance does and this one only stands by
   */
  check(
    runnerIds: readonly string[],
    identity: Identity,
    instance: string | undefined,
    standby: boolean,
  ): void {
    for (const id of runnerIds) {
      if (!identity.mayRegister(id)) {
        throw new TurnaboutError(
          "not_allowed",
          `register ${id}: ${identity.id} may not register this runner`,
        );
      }
      const entry = this.#entries.get(id);
      const generation = entry?.generation;
      if (entry === undefined || generation === undefined || entry.state === "gone") continue;
      if (generation.credential !== identity.id) {
        throw new TurnaboutError("runner_taken", `register ${id}: another credential holds this runner`);
      }
      if (standby && entry.state === "connected" && generation.instance !== instance) {
        throw new TurnaboutError("runner_taken", `register ${id}: a newer agent serves it; standing by`);
      }
    }
  }

  /**
   * Enters a connection for all its runners.
   *
   * @throws TurnaboutError as {@link check}, or `overloaded`, `control_plane_draining`
   */
  register(connection: AgentConnection, standby = false): void {
    if (this.#closed) throw new TurnaboutError("control_plane_draining", "register: shutting down");
    // Its 'close' has been emitted already: nothing would ever take it out again.
    if (connection.session.destroyed) throw new TurnaboutError("tunnel_lost", "register: the agent has left");
    const { hello, identity } = connection;
    const ids = [...connection.runners.keys()];
    this.check(ids, identity, hello.instance, standby);
    for (const id of ids) {
      const generation = this.#entries.get(id)?.generation;
      const same = generation?.instance === hello.instance;
      if (same && generation.connections.size >= MAX_CONNECTIONS_PER_GENERATION) {
        throw new TurnaboutError(
          "overloaded",
          `register ${id}: more than ${MAX_CONNECTIONS_PER_GENERATION} connections`,
        );
      }
    }
    for (const info of connection.runners.values()) this.#enter(info, connection);
    connection.session.once("close", () => this.#leave(connection));
  }

  /** A living connection announces a further runner. @throws TurnaboutError as {@link check} */
  addRunner(connection: AgentConnection, info: RunnerInfo): void {
    const { hello, identity, runners } = connection;
    if (!runners.has(info.id) && runners.size >= MAX_RUNNERS_PER_CONNECTION) {
      throw new TurnaboutError(
        "overloaded",
        `register ${info.id}: more than ${MAX_RUNNERS_PER_CONNECTION} runners`,
      );
    }
    this.check([info.id], identity, hello.instance, hello.standby);
    connection.pools.forget(info.id); // its targets may be others now
    connection.runners.set(info.id, info);
    this.#enter(info, connection);
    this.#entries.get(info.id)?.unhealthy.clear(); // its targets may be others now; what is down is told again
  }

  /** A living connection withdraws a runner: no grace, it will not come back by itself. */
  removeRunner(connection: AgentConnection, runnerId: string): void {
    if (!connection.runners.delete(runnerId)) return;
    connection.pools.forget(runnerId);
    const entry = this.#entries.get(runnerId);
    if (entry?.generation?.connections.delete(connection) !== true) return;
    if (entry.generation.connections.size > 0) return;
    this.#onEvent({ type: "lost", runner: runnerId });
    this.#toGone(entry);
  }

  setTargetHealth(connection: AgentConnection, runnerId: string, target: string, healthy: boolean): void {
    const entry = this.#entries.get(runnerId);
    if (entry?.generation?.connections.has(connection) !== true) return;
    if (healthy) entry.unhealthy.delete(target);
    else if (entry.info?.targets.some(({ name }) => name === target) === true) entry.unhealthy.add(target);
  }

  /** The best connection of a connected runner; undefined if there is none that takes new streams. */
  pick(runnerId: string): AgentConnection | undefined {
    const connections = this.#entries.get(runnerId)?.generation?.connections;
    if (connections === undefined) return undefined;
    let best: AgentConnection | undefined;
    let bestLoad = Infinity;
    for (const connection of connections) {
      if (!connection.usable) continue;
      const load = connections.size === 1 ? 0 : connection.load();
      if (load < bestLoad) {
        best = connection;
        bestLoad = load;
      }
    }
    return best;
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
    for (;;) {
      const connection = this.pick(runnerId);
      if (connection !== undefined) return connection;
      if (options.signal?.aborted === true) throw new TurnaboutError("aborted", `dial ${runnerId}: given up`);
      const state = this.state(runnerId);
      // Connected without a usable connection: all of them drain, and the agent is about to come back.
      const inGrace = state === "reconnecting" || state === "connected";
      // Counted from the start of this dial: an agent that comes and goes cannot hold it for ever.
      const leftMs = startedAt + (inGrace ? Math.max(waitMs, this.#graceMs) : waitMs) - performance.now();
      if (this.#closed || leftMs <= 0) throw this.#absent(runnerId, state);
      await this.#wait(runnerId, leftMs, options.signal);
    }
  }

  state(runnerId: string): RunnerState {
    return this.#entries.get(runnerId)?.state ?? "never-seen";
  }

  view(runnerId: string): RunnerView | undefined {
    const entry = this.#entries.get(runnerId);
    return entry === undefined || entry.state === "never-seen" ? undefined : viewOf(entry);
  }

  list(): RunnerView[] {
    return [...this.#entries.values()].filter(({ state }) => state !== "never-seen").map(viewOf);
  }

  connections(): Set<AgentConnection> {
    return new Set(
      [...this.#entries.values()].flatMap((entry) => [...(entry.generation?.connections ?? [])]),
    );
  }

  waitingDials(): number {
    return [...this.#entries.values()].reduce((sum, { waiters }) => sum + waiters.size, 0);
  }

  /**
   * A runner that was connected before this process started: awaited as in a grace, and held for its credential,
   * because after a restart unknown is not absent.
   */
  expect(runnerId: string, credential: string, warmUpMs: number): void {
    if (this.#entries.has(runnerId)) return;
    const entry = this.#entry(runnerId);
    entry.generation = { instance: "", bootEpochMs: 0, credential, connections: new Set() };
    this.#setState(entry, "reconnecting");
    entry.graceTimer = setTimeout(() => this.#toGone(entry), warmUpMs);
    entry.graceTimer.unref();
  }

  /** Wakes and refuses all who wait; no timer stays behind. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.graceTimer);
      for (const waiter of entry.waiters) {
        waiter.fail(
          new TurnaboutError("control_plane_draining", `dial ${entry.id}: the control plane shuts down`),
        );
      }
    }
  }

  #enter(info: RunnerInfo, connection: AgentConnection): void {
    const entry = this.#entry(info.id);
    const { hello, identity } = connection;
    const old = entry.generation;
    const isNew = old?.instance !== hello.instance;
    if (isNew) {
      entry.generation = {
        instance: hello.instance,
        bootEpochMs: hello.bootEpochMs,
        credential: identity.id,
        connections: new Set(),
      };
      entry.unhealthy.clear();
    }
    entry.generation?.connections.add(connection);
    entry.info = info;
    clearTimeout(entry.graceTimer);
    entry.graceTimer = undefined;
    if (entry.state !== "connected") this.#setState(entry, "connected");
    if (isNew && old !== undefined && old.connections.size > 0) this.#release(info.id, old);
    const before = old?.bootEpochMs ?? 0;
    const restarted = before !== 0 && before !== hello.bootEpochMs;
    this.#onEvent({ type: "connected", runner: info.id, connection: connection.id, restarted });
    for (const waiter of entry.waiters) waiter.wake();
  }

  /** The older generation loses this runner; a connection that serves no other is drained. */
  #release(runnerId: string, old: Generation): void {
    this.#onEvent({ type: "replaced", runner: runnerId });
    for (const connection of old.connections) {
      connection.runners.delete(runnerId);
      if (connection.runners.size === 0) connection.drain("replaced", `a newer agent serves ${runnerId}`);
    }
    old.connections.clear();
  }

  /** Only a connection that is still in its runner's generation can take the runner away. */
  #leave(connection: AgentConnection): void {
    for (const id of connection.runners.keys()) {
      const entry = this.#entries.get(id);
      if (entry?.generation?.connections.delete(connection) !== true) continue;
      if (entry.generation.connections.size > 0) continue;
      this.#setState(entry, "reconnecting");
      this.#onEvent({ type: "lost", runner: id });
      if (this.#closed) continue; // nobody waits any more
      entry.graceTimer = setTimeout(() => this.#toGone(entry), this.#graceMs);
      entry.graceTimer.unref();
    }
  }

  #toGone(entry: Entry): void {
    clearTimeout(entry.graceTimer);
    entry.graceTimer = undefined;
    this.#setState(entry, "gone");
    this.#onEvent({ type: "grace-expired", runner: entry.id });
    for (const waiter of entry.waiters) waiter.wake(); // each decides by its own deadline
    if (this.#goneCount > MAX_GONE_RUNNERS) this.#forgetOldestGone();
  }

  #forgetOldestGone(): void {
    for (const [id, entry] of this.#entries) {
      if (entry.state !== "gone" || entry.waiters.size > 0) continue;
      this.#entries.delete(id);
      this.#goneCount -= 1;
      return;
    }
  }

  #setState(entry: Entry, state: RunnerState): void {
    if (entry.state === "never-seen") this.#unknownAwaited -= 1;
    if (entry.state === "gone") this.#goneCount -= 1;
    if (state === "gone") this.#goneCount += 1;
    entry.state = state;
    entry.since = new Date();
    // Map order is age: the oldest of the gone come first.
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
  }

  #entry(id: string): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    this.#unknownAwaited += 1;
    const entry: Entry = {
      id,
      state: "never-seen",
      since: new Date(),
      generation: undefined,
      info: undefined,
      unhealthy: new Set(),
      waiters: new Set(),
      graceTimer: undefined,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  async #wait(runnerId: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#entries.has(runnerId) && this.#unknownAwaited >= MAX_AWAITED_UNKNOWN_RUNNERS) {
      throw new TurnaboutError("overloaded", `dial ${runnerId}: too many dials wait for unknown runners`);
    }
    const entry = this.#entry(runnerId);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (entry.waiters.size >= WAITING_DIALS_PER_RUNNER) {
      throw new TurnaboutError(
        "overloaded",
        `dial ${runnerId}: ${WAITING_DIALS_PER_RUNNER} dials wait already`,
      );
    }
    const waiter: Waiter = { wake: resolve, fail: reject };
    entry.waiters.add(waiter);
    const timer = setTimeout(resolve, timeoutMs);
    const onAbort = () => reject(new TurnaboutError("aborted", `dial ${runnerId}: given up`));
    if (signal !== undefined) setMaxListeners(0, signal);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      entry.waiters.delete(waiter);
      if (entry.state === "never-seen" && entry.waiters.size === 0 && this.#entries.delete(runnerId)) {
        this.#unknownAwaited -= 1;
      }
    }
  }

  #absent(runnerId: string, state: RunnerState): TurnaboutError {
    if (this.#closed) return new TurnaboutError("control_plane_draining", `dial ${runnerId}: shutting down`);
    return state === "never-seen"
      ? new TurnaboutError("runner_unknown", `dial ${runnerId}: no such runner has connected`)
      : new TurnaboutError("runner_offline", `dial ${runnerId}: not connected (${state})`);
  }
}

function viewOf(entry: Entry): RunnerView {
  return {
    id: entry.id,
    state: entry.state,
    since: entry.since,
    info: entry.info,
    unhealthy: entry.unhealthy,
    credential: entry.generation?.credential,
    bootEpochMs: entry.generation?.bootEpochMs,
    connections: [...(entry.generation?.connections ?? [])],
    waitingDials: entry.waiters.size,
  };
}
