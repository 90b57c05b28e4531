/**
 * Dials that wait for one runner, each with its own deadline. Callers take turns, and no more dials are released at once than
 * the agent takes: after an outage there may be thousands.
 *
 * The queue of an HTTP/2 target (`http2-target/target.ts`) is another thing: in front of the streams of one connection, where
 * a request that was refused unprocessed goes first.
 */
import { setMaxListeners } from "node:events";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_WAITING_DIALS, WAITING_DIALS_PER_CALLER_AND_RUNNER } from "../limits.ts";
import { SELF } from "../shares/holders.ts";
import { TurnQueue } from "../shares/turn-queue.ts";

/** Why a wait has ended: its turn has come, or something else has changed, which may be its timeout. */
export type Woken = "turn" | "change";

export interface Wait {
  /** Whose share of the places it takes; empty for this process itself. */
  caller: string;
  target: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface WaitingDial {
  readonly caller: string;
  readonly target: string;
}

interface Waiter extends WaitingDial {
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
  /** One lane for each caller and target. */
  readonly #waiters = new TurnQueue<Waiter>();
  readonly #callers = new Map<string, number>();

  constructor(budget: WaitBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /**
   * Whether dials to this target wait, so that a new one must queue behind them.
   *
   * @param hasShare whether a caller has a share of the target left: the dials of others hold no one up
   */
  isQueued(target: string, hasShare: (caller: string) => boolean = () => true): boolean {
    return this.#waiters.hasFirst((waiter) => waiter.target === target && hasShare(waiter.caller));
  }

  /**
   * Releases one dial of each lane in turn, as long as there is room for it.
   *
   * @param decide `turn` if the dial may be released, which then counts; `change` if it has to decide anew; otherwise it, and
   * those behind it in its lane, wait on
   */
  release(decide: (dial: WaitingDial) => Woken | undefined): void {
    this.#waiters.serve((waiter) => {
      const woken = decide(waiter);
      if (woken === undefined) return false;
      this.#forget(waiter);
      waiter.wake(woken);
      return true;
    });
  }

  /** Something has changed: each dial decides anew whether it waits. */
  wakeAll(): void {
    for (const waiter of this.#waiters.items()) waiter.wake("change");
  }

  fail(error: TurnaboutError): void {
    for (const waiter of this.#waiters.items()) waiter.fail(error);
  }

  /**
   * Resolves when its turn comes, something changes, or its time is over.
   *
   * @throws TurnaboutError `overloaded`, `aborted`, or what {@link fail} was given
   */
  async wait(runnerId: string, { caller, target, timeoutMs, signal }: Wait): Promise<Woken> {
    const max = WAITING_DIALS_PER_CALLER_AND_RUNNER;
    if ((this.#callers.get(caller) ?? 0) >= max) {
      const code = caller === SELF ? "overloaded" : "share_exceeded";
      throw new TurnaboutError(code, `dial ${runnerId}: ${max} dials of ${caller} wait already`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Woken>();
    const waiter: Waiter = { caller, target, wake: resolve, fail: reject };
    this.#budget.add(runnerId, waiter);
    this.#add(waiter);
    const timer = setTimeout(() => resolve("change"), timeoutMs);
    const onAbort = () => {
      const message = `dial ${runnerId}: aborted by the caller`;
      reject(new TurnaboutError("aborted", message, { cause: signal?.reason }));
    };
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

  #add(waiter: Waiter): void {
    this.#waiters.add(laneOf(waiter), waiter);
    this.#callers.set(waiter.caller, (this.#callers.get(waiter.caller) ?? 0) + 1);
  }

  #remove(waiter: Waiter): void {
    if (this.#waiters.remove(laneOf(waiter), waiter)) this.#forget(waiter);
  }

  /** It has left its lane. */
  #forget(waiter: Waiter): void {
    this.#budget.remove(waiter);
    const left = (this.#callers.get(waiter.caller) ?? 1) - 1;
    if (left === 0) this.#callers.delete(waiter.caller);
    else this.#callers.set(waiter.caller, left);
  }
}

function laneOf({ caller, target }: Waiter): string {
  return `${target} ${caller}`;
}

function tooMany(runnerId: string, reason: string): TurnaboutError {
  return new TurnaboutError("overloaded", `dial ${runnerId}: ${reason}`);
}
