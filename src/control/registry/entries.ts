/** The runners that are known, with their states, and bounds on how many of them are remembered. */
import { TurnaboutError } from "../../wire/errors.ts";
import {
  AWAITED_UNKNOWN_RUNNERS_PER_CALLER,
  MAX_AWAITED_UNKNOWN_RUNNERS,
  MAX_GONE_RUNNERS,
} from "../limits.ts";
import { SaturatedTargets } from "./saturated-targets.ts";
import { WaitBudget, WaitQueue } from "./wait-queue.ts";
import { Upstreams } from "./upstreams.ts";

export type RunnerState = "never-seen" | "connected" | "reconnecting" | "gone";

export interface Entry {
  readonly id: string;
  readonly state: RunnerState;
  /** When the present state began. */
  readonly since: Date;
  readonly ways: Upstreams;
  readonly waiting: WaitQueue;
  readonly crowds: SaturatedTargets;
  graceTimer: NodeJS.Timeout | undefined;
  /** Set while waiting dials are let go bit by bit. */
  releaseTimer: NodeJS.Timeout | undefined;
  /** Whether the way that was last told of was a discovered one; undefined while there is none. */
  route: boolean | undefined;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Entries {
  readonly #entries = new Map<string, Mutable<Entry>>();
  readonly #budget = new WaitBudget();
  #unknownAwaited = 0;
  /** Who was the first to wait for a runner that nobody has seen. */
  readonly #askers = new Map<string, string>();
  #goneCount = 0;

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  /** Those that have been seen. */
  seen(): Entry[] {
    return this.all().filter(({ state }) => state !== "never-seen");
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Made if it is not there. */
  of(id: string): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    this.#unknownAwaited += 1;
    const entry: Entry = {
      id,
      state: "never-seen",
      since: new Date(),
      ways: new Upstreams(),
      waiting: new WaitQueue(this.#budget),
      crowds: new SaturatedTargets(),
      graceTimer: undefined,
      releaseTimer: undefined,
      route: undefined,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  /** As {@link of}, for a caller that waits. @throws TurnaboutError `overloaded` if callers have invented too many */
  awaited(id: string, caller: string): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    // This process itself (the library's user) has no share: it invents none.
    const own = caller === "" ? 0 : [...this.#askers.values()].filter((asker) => asker === caller).length;
    if (this.#unknownAwaited >= MAX_AWAITED_UNKNOWN_RUNNERS || own >= AWAITED_UNKNOWN_RUNNERS_PER_CALLER) {
      throw new TurnaboutError("overloaded", `dial ${id}: too many dials wait for unknown runners`);
    }
    this.#askers.set(id, caller);
    return this.of(id);
  }

  /** Nobody has ever seen it, and nobody waits for it. */
  forgetUnseen(id: string): void {
    const entry = this.#entries.get(id);
    if (entry?.state !== "never-seen" || entry.waiting.size > 0) return;
    this.#entries.delete(id);
    this.#askers.delete(id);
    this.#unknownAwaited -= 1;
  }

  setState({ id }: Entry, state: RunnerState): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (entry.state === "never-seen") {
      this.#unknownAwaited -= 1;
      this.#askers.delete(id);
    }
    if (entry.state === "gone") this.#goneCount -= 1;
    if (state === "gone") this.#goneCount += 1;
    entry.state = state;
    entry.since = new Date();
    // The order is age: the oldest of the gone come first.
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    if (this.#goneCount > MAX_GONE_RUNNERS) this.#forgetOldestGone();
  }

  #forgetOldestGone(): void {
    for (const [id, entry] of this.#entries) {
      if (entry.state !== "gone" || entry.waiting.size > 0) continue;
      this.#entries.delete(id);
      this.#goneCount -= 1;
      return;
    }
  }
}
