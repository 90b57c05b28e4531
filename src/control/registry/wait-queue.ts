/**
 * Dials that wait for one runner, each with its own deadline. Callers take turns, and no more dials are released at once than
 * the agent takes: after an outage there may be thousands.
 *
 * The queue of an HTTP/2 target (`http2-target/target.ts`) is another thing: first come, first served, in front of the streams
 * of one connection, where a request that was refused unprocessed goes first.
 */
import { setMaxListeners } from "node:events";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_WAITING_DIALS, WAITING_DIALS_PER_CALLER_AND_RUNNER } from "../limits.ts";

/** Why a wait has ended: its turn has come, or something else has changed, which may be its timeout. */
export type Woken = "turn" | "change";

export interface Wait {
  /** Id of the credential whose share of the places it takes; empty for this process itself. */
  caller: string;
  target: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly caller: string;
  readonly target: string;
  wake(reason: Woken): void;
  fail(error: TurnaboutError): void;
}

/** Bounds the dials that wait for all runners together, so that no caller takes the places of others. */
export class WaitBudget {
  readonly #byCaller = new Map<string, Set<Waiter>>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /**
   * If all places are taken, the last dial of the caller with the most is failed.
   *
   * @throws TurnaboutError `overloaded` if that is this caller
   */
  add(runnerId: string, waiter: Waiter): void {
    const own = this.#byCaller.get(waiter.caller) ?? new Set<Waiter>();
    if (this.#total >= MAX_WAITING_DIALS) {
      const largest = this.#largest();
      if (largest.size <= own.size + 1) throw tooMany(runnerId, `${MAX_WAITING_DIALS} dials wait already`);
      const latest = [...largest].at(-1);
      latest?.fail(tooMany(runnerId, "its place was given to a caller with fewer waiting dials"));
      if (latest !== undefined) this.remove(latest);
    }
    own.add(waiter);
    this.#byCaller.set(waiter.caller, own);
    this.#total += 1;
  }

  remove(waiter: Waiter): void {
    const own = this.#byCaller.get(waiter.caller);
    if (own?.delete(waiter) !== true) return;
    this.#total -= 1;
    if (own.size === 0) this.#byCaller.delete(waiter.caller);
  }

  #largest(): ReadonlySet<Waiter> {
    let largest: ReadonlySet<Waiter> = new Set();
    for (const waiters of this.#byCaller.values()) if (waiters.size > largest.size) largest = waiters;
    return largest;
  }
}

export class WaitQueue {
  readonly #budget: WaitBudget;
  /** One lane for each caller and target: first come, first served within it, and the lanes take turns. */
  readonly #lanes = new Map<string, Set<Waiter>>();
  readonly #callers = new Map<string, number>();
  #size = 0;

  constructor(budget: WaitBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether dials to this target wait, so that a new one must queue behind them. */
  isQueued(target: string): boolean {
    return [...this.#lanes.values()].some((lane) => first(lane)?.target === target);
  }

  /**
   * Releases one dial of each lane in turn, as long as there is room for its target.
   *
   * @param takeRoom true if a dial to the target may be released, which then counts
   */
  release(takeRoom: (target: string) => boolean): void {
    const full = new Set<string>();
    for (let released = true; released;) {
      released = false;
      for (const lane of this.#lanes.values()) {
        const waiter = first(lane);
        if (waiter === undefined || full.has(waiter.target)) continue;
        if (takeRoom(waiter.target)) {
          this.#remove(waiter);
          waiter.wake("turn");
          released = true;
        } else full.add(waiter.target);
      }
    }
  }

  /** Something has changed: each dial decides anew whether it waits. */
  wakeAll(): void {
    for (const waiter of this.#all()) waiter.wake("change");
  }

  fail(error: TurnaboutError): void {
    for (const waiter of this.#all()) waiter.fail(error);
  }

  /**
   * Resolves when its turn comes, something changes, or its time is over.
   *
   * @throws TurnaboutError `overloaded`, `aborted`, or what {@link fail} was given
   */
  async wait(runnerId: string, { caller, target, timeoutMs, signal }: Wait): Promise<Woken> {
    const max = WAITING_DIALS_PER_CALLER_AND_RUNNER;
    if ((this.#callers.get(caller) ?? 0) >= max) {
      throw tooMany(runnerId, `${max} dials of this caller wait already`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Woken>();
    const waiter: Waiter = { caller, target, wake: resolve, fail: reject };
    this.#budget.add(runnerId, waiter);
    this.#add(waiter);
    const timer = setTimeout(() => resolve("change"), timeoutMs);
    const onAbort = () => reject(new TurnaboutError("aborted", `dial ${runnerId}: aborted by the caller`));
    if (signal !== undefined) setMaxListeners(0, signal);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#remove(waiter);
    }
  }

  #all(): Waiter[] {
    return [...this.#lanes.values()].flatMap((lane) => [...lane]);
  }

  #add(waiter: Waiter): void {
    const key = laneOf(waiter);
    const lane = this.#lanes.get(key) ?? new Set<Waiter>();
    lane.add(waiter);
    this.#lanes.set(key, lane);
    this.#callers.set(waiter.caller, (this.#callers.get(waiter.caller) ?? 0) + 1);
    this.#size += 1;
  }

  #remove(waiter: Waiter): void {
    this.#budget.remove(waiter);
    const key = laneOf(waiter);
    const lane = this.#lanes.get(key);
    if (lane?.delete(waiter) !== true) return;
    if (lane.size === 0) this.#lanes.delete(key);
    this.#size -= 1;
    const left = (this.#callers.get(waiter.caller) ?? 1) - 1;
    if (left === 0) this.#callers.delete(waiter.caller);
    else this.#callers.set(waiter.caller, left);
  }
}

function laneOf({ caller, target }: Waiter): string {
  return `${target} ${caller}`;
}

function first(lane: Set<Waiter>): Waiter | undefined {
  const [waiter] = lane;
  return waiter;
}

function tooMany(runnerId: string, reason: string): TurnaboutError {
  return new TurnaboutError("overloaded", `dial ${runnerId}: ${reason}`);
}
