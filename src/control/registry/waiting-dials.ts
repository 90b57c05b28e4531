/**
 * Which connection a dial gets, and how long it waits for one: within the grace after a loss, as long as its caller asks for,
 * or until its saturated target has room for it. Waiting dials are released in batches, no faster than the agent takes them.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import {
  ARRIVAL_SPARE_DIVISOR,
  GRACE_MS,
  MAX_WAIT_MS,
  RELEASE_DIVISOR,
  RELEASE_PAUSE_MS,
  RELEASE_SPARE_DIVISOR,
} from "../limits.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { SELF } from "../shares/holders.ts";
import type { Release } from "../shares/shares.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { Entries, Entry, RunnerState } from "./entries.ts";
import type { Upstream } from "./upstream.ts";
import type { Wait, WaitingDial, Woken } from "./wait-queue.ts";

export interface WaitOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds to wait for a runner that is not connected. Default 0: only a grace is waited for. */
  waitMs?: number | undefined;
  /** It does not wait for a runner that has never connected. Default false. */
  onlyKnown?: boolean | undefined;
  /** Whose share of the waiting dials and of the target's streams it takes. Default: this process itself. */
  caller?: string | undefined;
  target?: string | undefined;
  /** It can take over an idle keep-alive stream of the target. */
  reusesStreams?: boolean | undefined;
  /** It has come from another node: it gets a connection of an agent here, or none. */
  localOnly?: boolean | undefined;
  /** The agent has refused this dial because the target has too many streams: it waits for its turn, or fails with this. */
  saturated?: TurnaboutError | undefined;
}

/** A connection for one dial or request, which counts there until `release` is called. */
export interface Place {
  readonly connection: AgentConnection;
  readonly release: Release;
}

/** A dial was refused because its caller has its share already: of the target's streams, or of the waiting dials. */
export type ShareRefused = (share: "target_streams" | "waiting_dials") => void;

export interface WaitingDialsOptions {
  graceMs: number;
  /** Whether a caller gets no further streams, because too much waits for it to read. */
  isFull: (caller: string) => boolean;
  onShareRefused: ShareRefused;
}

export class WaitingDials {
  readonly #entries: Entries;
  readonly #options: WaitingDialsOptions;
  #closed = false;
  #isHandedOver = false;
  /** On the clock of `performance.now()`. */
  #arrivalsUntilMs = 0;

  constructor(entries: Entries, options: WaitingDialsOptions) {
    this.#entries = entries;
    this.#options = options;
  }

  get count(): number {
    return this.#entries.all().reduce((sum, { waiting }) => sum + waiting.size, 0);
  }

  /**
   * The best connection, waited for where that makes sense. Everything else fails at once.
   *
   * @throws TurnaboutError `runner_unknown`, `runner_offline`, `overloaded`, `aborted`, `control_plane_draining`
   */
  async acquire(runnerId: string, options: WaitOptions = {}): Promise<Place> {
    const maxWaitMs = Math.min(options.waitMs ?? 0, MAX_WAIT_MS);
    const startedAt = performance.now();
    const { caller = SELF, target = "", signal, saturated } = options;
    for (let isTurn = false; ;) {
      const best = this.#entries.get(runnerId)?.upstreams.bestConnection;
      if (options.localOnly === true && best?.isRemote === true) {
        throw new TurnaboutError("agent_draining", `dial ${runnerId}: its agent is at another node`);
      }
      if (best !== undefined && (isTurn || !this.#mustQueue(runnerId, { target, caller }, saturated))) {
        const connection = this.#makeRoom(runnerId, target, options) ?? best;
        return { connection, release: connection.takePlace(caller, { runner: runnerId, target }) };
      }
      if (signal?.aborted === true)
        throw new TurnaboutError("aborted", `dial ${runnerId}: aborted by the caller`, {
          cause: signal.reason,
        });
      const state = this.#entries.stateOf(runnerId);
      const waitMs = options.onlyKnown === true && state === "never-seen" ? 0 : maxWaitMs;
      if (this.#isHandedOver && best === undefined) throw this.#absent(runnerId, state);
      // Connected without a usable connection: all of them drain, and the agent is about to come back.
      const inGrace = state === "reconnecting" || state === "connected";
      // Counted from the start of this dial: an agent that comes and goes cannot hold it permanently.
      const graceMs = best === undefined ? this.#options.graceMs : GRACE_MS;
      const nowMs = performance.now();
      const ownMs = startedAt + (inGrace ? Math.max(waitMs, graceMs) : waitMs) - nowMs;
      const leftMs = state === "never-seen" ? Math.max(ownMs, this.#arrivalsUntilMs - nowMs) : ownMs;
      if (this.#closed || leftMs <= 0) {
        if (this.#closed || best === undefined) throw this.#absent(runnerId, state);
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
    const batch: Batch = { rooms: new Map(), shares: new Map(), streams: upstream.freeStreams };
    entry.waiting.release((dial) => this.#decide(dial, entry, upstream, batch));
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

  /** @throws TurnaboutError `saturated`, or that the caller has its share, if waiting would not help */
  #mustQueue(
    runnerId: string,
    { target, caller }: WaitingDial,
    saturated: TurnaboutError | undefined,
  ): boolean {
    const entry = this.#entries.get(runnerId);
    const upstream = entry?.upstreams.inUse;
    if (entry === undefined || upstream === undefined) return false;
    const destination = { runner: runnerId, target };
    const max = saturated === undefined ? arrivalStreams(upstream) : releaseStreams(upstream);
    const hasRoom = upstream.hasFewerBusyStreams(destination, max);
    const isStalled = entry.saturated.isStalled(target, hasRoom);
    if (saturated !== undefined && isStalled) throw saturated;
    const hasShareLeft = (who: string): boolean =>
      !this.#options.isFull(who) && upstream.hasShareLeft(who, destination);
    const hasShare = hasShareLeft(caller);
    if (entry.exhausted.isStalled(laneOf(target, caller), hasShare)) {
      this.#options.onShareRefused("target_streams");
      const message = `dial ${runnerId} ${target}: ${caller} has its share of streams, or of unread bytes`;
      throw new TurnaboutError("overloaded", message);
    }
    // A new dial queues behind those that wait for the same target.
    if (entry.waiting.size > 0 && entry.waiting.isQueued(target, hasShareLeft)) return true;
    return saturated !== undefined || !hasShare || (!hasRoom && !isStalled);
  }

  /** At a target with many streams, idle ones of any connection are reused or closed. */
  #makeRoom(runner: string, target: string, { reusesStreams }: WaitOptions): AgentConnection | undefined {
    const upstream = this.#entries.get(runner)?.upstreams.inUse;
    const destination = { runner, target };
    if (upstream === undefined || upstream.openStreams(destination) < releaseStreams(upstream)) {
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
    } catch (error) {
      const hasShare = error instanceof TurnaboutError && error.code === "share_exceeded";
      if (hasShare) this.#options.onShareRefused("waiting_dials");
      throw error;
    } finally {
      this.#entries.forgetUnseen(runnerId);
    }
  }

  /** Whether a waiting dial is released: its target has room, and its caller a share of it. */
  #decide(
    { target, caller }: WaitingDial,
    entry: Entry,
    upstream: Upstream,
    batch: Batch,
  ): Woken | undefined {
    const destination = { runner: entry.id, target };
    let room = batch.rooms.get(target);
    if (room === undefined) {
      room = batchSize(releaseStreams(upstream) - upstream.busyStreams(destination));
      if (entry.saturated.isStalled(target, room > 0)) room = Infinity;
    }
    const lane = laneOf(target, caller);
    const share = batch.shares.get(lane) ?? this.#shareLeft(caller, upstream, destination);
    batch.rooms.set(target, room);
    batch.shares.set(lane, share);
    // It is refused where its share stays used up, and not let through to the agent: the rest is for others.
    if (entry.exhausted.isStalled(lane, share > 0)) return "change";
    if (room <= 0 || share <= 0 || batch.streams <= 0) return undefined;
    batch.rooms.set(target, room - 1);
    batch.shares.set(lane, share - 1);
    batch.streams -= 1;
    return "turn";
  }

  #shareLeft(caller: string, upstream: Upstream, destination: Destination): number {
    return this.#options.isFull(caller) ? 0 : upstream.shareLeft(caller, destination);
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

/** What is left for one batch of releases. */
interface Batch {
  /** By target. */
  readonly rooms: Map<string, number>;
  /** By target and caller. */
  readonly shares: Map<string, number>;
  streams: number;
}

function laneOf(target: string, caller: string): string {
  return `${target} ${caller}`;
}

/** Streams to one target up to which waiting dials are released. */
function releaseStreams({ streamsPerTarget }: Upstream): number {
  return streamsPerTarget - Math.floor(streamsPerTarget / RELEASE_SPARE_DIVISOR);
}

/** Streams to one target, on all connections together, from which on new dials queue. */
function arrivalStreams({ streamsPerTarget }: Upstream): number {
  return streamsPerTarget - Math.floor(streamsPerTarget / ARRIVAL_SPARE_DIVISOR);
}

function batchSize(free: number): number {
  return Math.ceil(free / RELEASE_DIVISOR);
}
