/** The known runners with their state, and bounds on how many of them are remembered. */
import { MAX_GONE_RUNNERS } from "../limits.ts";
import type { Release, Shares } from "../shares/shares.ts";
import { SaturatedTargets } from "./saturated-targets.ts";
import { Upstreams } from "./upstreams.ts";
import { WaitBudget, WaitQueue } from "./wait-queue.ts";

export type RunnerState = "never-seen" | "connected" | "reconnecting" | "gone";

export interface Entry {
  readonly id: string;
  readonly state: RunnerState;
  /** When the present state began. */
  readonly since: Date;
  readonly upstreams: Upstreams;
  readonly waiting: WaitQueue;
  readonly saturated: SaturatedTargets;
  /** Targets of which a caller has its share, by target and caller. */
  readonly exhausted: SaturatedTargets;
  graceTimer: NodeJS.Timeout | undefined;
  /** Set while waiting dials are released in batches. */
  releaseTimer: NodeJS.Timeout | undefined;
  /** Whether the upstream in use, when last compared, was that of a discoverer; undefined while there is none. */
  reportedDiscovered: boolean | undefined;
  /** Its last agent has shut down or withdrawn it. */
  hasLeft: boolean;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Entries {
  readonly #entries = new Map<string, Mutable<Entry>>();
  readonly #budget = new WaitBudget();
  readonly #unknownRunners: Shares;
  /** For each awaited runner that has never connected: gives back the place of the caller that was the first to wait. */
  readonly #unknown = new Map<string, Release>();
  readonly #gone = new RunnersByCredential();
  /** Connected, or awaited. */
  readonly #present = new RunnersByCredential();

  constructor(unknownRunners: Shares) {
    this.#unknownRunners = unknownRunners;
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  stateOf(id: string): RunnerState {
    return this.#entries.get(id)?.state ?? "never-seen";
  }

  /** Those that have connected, or were connected before this process started. */
  seen(): Entry[] {
    return this.all().filter(({ state }) => state !== "never-seen");
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }

  getOrCreate(id: string): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const entry: Entry = {
      id,
      state: "never-seen",
      since: new Date(),
      upstreams: new Upstreams(),
      waiting: new WaitQueue(this.#budget),
      saturated: new SaturatedTargets(),
      exhausted: new SaturatedTargets(),
      graceTimer: undefined,
      releaseTimer: undefined,
      reportedDiscovered: undefined,
      hasLeft: false,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  /** As {@link getOrCreate}, for a caller that waits. @throws TurnaboutError above its share of unknown runners */
  getOrAwait(id: string, caller: string): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    this.#unknown.set(id, this.#unknownRunners.take(caller));
    return this.getOrCreate(id);
  }

  /** Forgets a runner that has never connected, if no dial waits for it. */
  forgetUnseen(id: string): void {
    const entry = this.#entries.get(id);
    if (entry?.state !== "never-seen" || entry.waiting.size > 0) return;
    this.#entries.delete(id);
    this.#isKnown(id);
  }

  setState({ id }: Entry, state: RunnerState): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (entry.state === "never-seen") this.#isKnown(id);
    const credential = (entry.upstreams.known ?? entry.upstreams.own)?.credential ?? "";
    (state === "gone" ? this.#present : this.#gone).delete(id);
    (state === "gone" ? this.#gone : this.#present).set(id, credential);
    entry.state = state;
    entry.since = new Date();
    if (this.#gone.size > MAX_GONE_RUNNERS) this.#forgetOldestGone();
  }

  /** Runners of this credential that are connected or awaited. */
  presentOf(credential: string): number {
    return this.#present.count(credential);
  }

  /** It is no longer awaited as an unknown one. */
  #isKnown(id: string): void {
    this.#unknown.get(id)?.();
    this.#unknown.delete(id);
  }

  #forgetOldestGone(): void {
    for (const id of this.#gone.ofLargest()) {
      if ((this.#entries.get(id)?.waiting.size ?? 0) > 0) continue;
      this.#entries.delete(id);
      this.#gone.delete(id);
      return;
    }
  }
}

/** Ids of runners by the credential that serves them, or served them last: one that invents ids uses up only its own share. */
class RunnersByCredential {
  /** In the order in which they were set. */
  readonly #byCredential = new Map<string, Set<string>>();
  readonly #credentials = new Map<string, string>();

  get size(): number {
    return this.#credentials.size;
  }

  count(credential: string): number {
    return this.#byCredential.get(credential)?.size ?? 0;
  }

  set(id: string, credential: string): void {
    this.delete(id);
    const ids = this.#byCredential.get(credential) ?? new Set();
    this.#byCredential.set(credential, ids.add(id));
    this.#credentials.set(id, credential);
  }

  delete(id: string): void {
    const credential = this.#credentials.get(id);
    if (credential === undefined) return;
    this.#credentials.delete(id);
    const ids = this.#byCredential.get(credential);
    ids?.delete(id);
    if (ids?.size === 0) this.#byCredential.delete(credential);
  }

  /** Those of the credential with the most. */
  ofLargest(): ReadonlySet<string> {
    let largest: ReadonlySet<string> = new Set();
    for (const ids of this.#byCredential.values()) if (ids.size > largest.size) largest = ids;
    return largest;
  }
}
