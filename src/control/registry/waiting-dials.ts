/**
 * Which connection a dial gets, and how long it waits for one: within the grace after a loss, as long as its caller asks for,
 * or until its saturated target has room. Waiting dials are released in batches, no faster than the agent takes them.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import {
  ARRIVAL_STREAMS_PER_TARGET,
  GRACE_MS,
  MAX_WAIT_MS,
  RELEASE_DIVISOR,
  RELEASE_PAUSE_MS,
  RELEASE_STREAMS_PER_TARGET,
} from "../limits.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Entries, Entry, RunnerState } from "./entries.ts";
import type { Wait } from "./wait-queue.ts";

export interface WaitOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds to wait for a runner that is not connected. Default 0: only a grace is waited for. */
  waitMs?: number | undefined;
  /** Id of the credential whose share of the waiting dials it takes. Default: this process itself. */
  caller?: string | undefined;
  target?: string | undefined;
  /** It can take over an idle keep-alive stream of the target. */
  reusesStreams?: boolean | undefined;
  /** The agent has refused this dial because the target has too many streams: it waits for its turn, or fails with this. */
  saturated?: TurnaboutError | undefined;
}

export class WaitingDials {
  readonly #entries: Entries;
  readonly #graceMs: number;
  #closed = false;
  #isHandedOver = false;
  /** On the clock of `performance.now()`. */
  #arrivalsUntilMs = 0;

  constructor(entries: Entries, graceMs: number) {
    this.#entries = entries;
    this.#graceMs = graceMs;
  }

  get count(): number {
    return this.#entries.all().reduce((sum, { waiting }) => sum + waiting.size, 0);
  }

  /**
   * The best connection, waited for where that makes sense. Everything else fails at once.
   *
   * @throws TurnaboutError `runner_unknown`, `runner_offline`, `overloaded`, `aborted`, `control_plane_draining`
   */
  async acquire(runnerId: string, options: WaitOptions = {}): Promise<AgentConnection> {
    const waitMs = Math.min(options.waitMs ?? 0, MAX_WAIT_MS);
    const startedAt = performance.now();
    const { caller = "", target = "", signal, saturated } = options;
    for (let isTurn = false; ;) {
      const connection = this.#entries.get(runnerId)?.upstreams.bestConnection;
      if (connection !== undefined && (isTurn || !this.#mustQueue(runnerId, target, saturated))) {
        return this.#makeRoom(runnerId, target, options) ?? connection;
      }
      if (signal?.aborted === true)
        throw new TurnaboutError("aborted", `dial ${runnerId}: aborted by the caller`);
      const state = this.#entries.stateOf(runnerId);
      if (this.#isHandedOver && connection === undefined) throw this.#absent(runnerId, state);
      // Connected without a usable connection: all of them drain, and the agent is about to come back.
      const inGrace = state === "reconnecting" || state === "connected";
      // Counted from the start of this dial: an agent that comes and goes cannot hold it permanently.
      const graceMs = connection === undefined ? this.#graceMs : GRACE_MS;
      const nowMs = performance.now();
      const ownMs = startedAt + (inGrace ? Math.max(waitMs, graceMs) : waitMs) - nowMs;
      const leftMs = state === "never-seen" ? Math.max(ownMs, this.#arrivalsUntilMs - nowMs) : ownMs;
      if (this.#closed || leftMs <= 0) {
        if (this.#closed || connection === undefined) throw this.#absent(runnerId, state);
        throw new TurnaboutError("overloaded", `dial ${runnerId} ${target}: all its streams are in use`);
      }
      isTurn = await this.#wait(runnerId, { caller, target, timeoutMs: leftMs, signal });
    }
  }

  /**
   * Releases waiting dials, as many as the agent takes. What they open is counted only in the next turn of the event loop:
   * the next batch follows a little later.
   */
  release(entry: Entry): void {
    if (entry.waiting.size === 0 || entry.releaseTimer !== undefined || this.#closed) return;
    const upstream = entry.upstreams.inUse;
    if (upstream?.bestConnection === undefined) return; // released when there is one
    const rooms = new Map<string, number>();
    let streams = upstream.freeStreams;
    entry.waiting.release((target) => {
      let room = rooms.get(target);
      if (room === undefined) {
        room = batchSize(upstream.busyStreams({ runner: entry.id, target }));
        if (entry.saturated.isStalled(target, room > 0)) room = Infinity;
      }
      const mayGo = room > 0 && streams > 0;
      rooms.set(target, mayGo ? room - 1 : room);
      if (mayGo) streams -= 1;
      return mayGo;
    });
    entry.releaseTimer = setTimeout(() => {
      entry.releaseTimer = undefined;
      this.release(entry);
    }, RELEASE_PAUSE_MS);
    entry.releaseTimer.unref();
  }

  /**
   * Agents are on their way from a predecessor, also some that are not known here: for this long, dials wait for runners that
   * have never connected.
   */
  expectArrivals(forMs: number): void {
    this.#arrivalsUntilMs = performance.now() + forMs;
  }

  /** A successor has taken over: dials without a connection fail, because no agent comes to this process. */
  handOver(): void {
    this.#isHandedOver = true;
    for (const { upstreams, waiting } of this.#entries.all()) {
      if (upstreams.bestConnection === undefined) waiting.wakeAll();
    }
  }

  /** Fails all waiting dials, and clears their timers. */
  close(): void {
    this.#closed = true;
    for (const { id, releaseTimer, waiting } of this.#entries.all()) {
      clearTimeout(releaseTimer);
      waiting.fail(
        new TurnaboutError("control_plane_draining", `dial ${id}: the control plane is shutting down`),
      );
    }
  }

  /** @throws TurnaboutError `saturated`, if waiting would not help */
  #mustQueue(runnerId: string, target: string, saturated: TurnaboutError | undefined): boolean {
    const entry = this.#entries.get(runnerId);
    const upstream = entry?.upstreams.inUse;
    if (entry === undefined || upstream === undefined) return false;
    const max = saturated === undefined ? ARRIVAL_STREAMS_PER_TARGET : RELEASE_STREAMS_PER_TARGET;
    const hasRoom = upstream.busyStreams({ runner: runnerId, target }) < max;
    const isStalled = entry.saturated.isStalled(target, hasRoom);
    if (saturated !== undefined && isStalled) throw saturated;
    // A new dial queues behind those that wait for the same target.
    if (entry.waiting.size > 0 && entry.waiting.isQueued(target)) return true;
    return saturated !== undefined || (!hasRoom && !isStalled);
  }

  /** At a target with many streams, idle ones of any connection are reused or closed. */
  #makeRoom(runner: string, target: string, { reusesStreams }: WaitOptions): AgentConnection | undefined {
    const upstream = this.#entries.get(runner)?.upstreams.inUse;
    const destination = { runner, target };
    if (upstream === undefined || upstream.openStreams(destination) < RELEASE_STREAMS_PER_TARGET) {
      return undefined;
    }
    if (reusesStreams === true) return upstream.mostIdleConnection(destination);
    for (const { pools } of upstream.connections) pools.dropIdle(destination);
    return undefined;
  }

  /** True if its turn has come; false if something has changed, or the time is over. */
  async #wait(runnerId: string, wait: Wait): Promise<boolean> {
    const entry = this.#entries.getOrAwait(runnerId, wait.caller);
    try {
      const woken = entry.waiting.wait(runnerId, wait);
      this.release(entry);
      return (await woken) === "turn";
    } finally {
      this.#entries.forgetUnseen(runnerId);
    }
  }

  #absent(runnerId: string, state: RunnerState): TurnaboutError {
    if (this.#closed || this.#isHandedOver)
      return new TurnaboutError(
        "control_plane_draining",
        `dial ${runnerId}: the control plane is shutting down`,
      );
    return state === "never-seen"
      ? new TurnaboutError("runner_unknown", `dial ${runnerId}: no such runner has connected`)
      : new TurnaboutError("runner_offline", `dial ${runnerId}: not connected (${state})`);
  }
}

function batchSize(busy: number): number {
  return Math.ceil((RELEASE_STREAMS_PER_TARGET - busy) / RELEASE_DIVISOR);
}
