/** A copy of all keys in memory, which the engine's watch keeps up to date. */
import { MAX_TOMBSTONES } from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { KeyValueEntry, RevisionConflict, WatchHandlers } from "./key-value.ts";

export interface MirrorEntry {
  value: string;
  revision: number;
}

/** A key that has changed. `entry` is undefined if it was deleted. */
export type MirrorListener = (key: string, entry: MirrorEntry | undefined, revision: number) => void;

interface Waiter {
  revision: number;
  resolve: (isReached: boolean) => void;
}

export class Mirror implements WatchHandlers {
  readonly #clock: Clock;
  readonly #onChange: MirrorListener;
  readonly #onCaughtUp: () => void;
  readonly #entries = new Map<string, MirrorEntry>();
  /** Revisions of deletions, oldest first: a key that is created again has to follow its deletion. */
  readonly #tombstones = new Map<string, { revision: number; at: number }>();
  readonly #waiters = new Set<Waiter>();
  /** During a replay: keys that it has not named yet. */
  #unconfirmed: Set<string> | undefined;
  #revision = 0;
  #hasCaughtUp = false;

  constructor(clock: Clock, onChange: MirrorListener, onCaughtUp: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#onCaughtUp = onCaughtUp;
  }

  /** Everything has been read once, and no replay is under way. */
  get isComplete(): boolean {
    return this.#hasCaughtUp && this.#unconfirmed === undefined;
  }

  /** Of the newest entry that was read. */
  get revision(): number {
    return this.#revision;
  }

  get(key: string): MirrorEntry | undefined {
    return this.#entries.get(key);
  }

  /** What a write to the key has to expect; 0 if it does not exist and no deletion is known. */
  revisionOf(key: string): number {
    return this.#entries.get(key)?.revision ?? this.#tombstones.get(key)?.revision ?? 0;
  }

  onReplay(): void {
    this.#unconfirmed = new Set(this.#entries.keys());
    this.#revision = 0;
  }

  onEntry({ key, value, revision }: KeyValueEntry): void {
    this.#unconfirmed?.delete(key);
    const isReplay = this.#unconfirmed !== undefined;
    if (!isReplay && revision <= this.revisionOf(key)) return;
    this.#revision = Math.max(this.#revision, revision);
    if (value === undefined) this.#delete(key, revision);
    else if (this.#entries.get(key)?.revision !== revision) this.#set(key, value, revision);
    this.#wake();
  }

  onCaughtUp(): void {
    const gone = this.#unconfirmed ?? [];
    this.#unconfirmed = undefined;
    this.#hasCaughtUp = true;
    for (const key of gone) {
      this.#entries.delete(key);
      this.#onChange(key, undefined, this.#revision);
    }
    this.#onCaughtUp();
  }

  /**
   * Waits until everything up to a revision has been read.
   *
   * @returns false if that takes longer
   */
  async reached(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.#revision >= revision) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter = { revision, resolve };
    this.#waiters.add(waiter);
    const cancel = this.#clock.after(timeoutMs, () => resolve(false));
    const isReached = await promise;
    cancel();
    this.#waiters.delete(waiter);
    return isReached;
  }

  /** Waits until what a write has met is in the copy, so that the next attempt knows it. False if that takes too long. */
  async learn({ key, revision }: RevisionConflict, timeoutMs: number): Promise<boolean> {
    if (!(await this.reached(revision, timeoutMs))) return false;
    // All up to that revision has been read, and the key does not exist: the revision is that of a deletion we have forgotten,
    // or 0 if the engine has.
    this.bury(key, revision);
    return true;
  }

  /** Forgets deletions that are as old, and returns them: the engine may forget them too. */
  expire(max: number, ageMs: number): { key: string; revision: number }[] {
    const expired: { key: string; revision: number }[] = [];
    for (const [key, { revision, at }] of this.#tombstones) {
      const isOld = this.#clock.now() - at >= ageMs;
      if (!(isOld || this.#tombstones.size > MAX_TOMBSTONES) || expired.length >= max) break;
      this.#tombstones.delete(key);
      expired.push({ key, revision });
    }
    return expired;
  }

  /** Notes the revision of a deletion, unless the key exists. */
  bury(key: string, revision: number): void {
    if (this.#entries.has(key)) return;
    this.#tombstones.delete(key); // the newest are last
    if (revision > 0) this.#tombstones.set(key, { revision, at: this.#clock.now() });
  }

  /** Wakes all that wait. */
  close(): void {
    for (const { resolve } of this.#waiters) resolve(false);
  }

  #set(key: string, value: string, revision: number): void {
    const entry = { value, revision };
    this.#tombstones.delete(key);
    this.#entries.set(key, entry);
    this.#onChange(key, entry, revision);
  }

  #delete(key: string, revision: number): void {
    const existed = this.#entries.delete(key);
    this.bury(key, revision);
    if (existed) this.#onChange(key, undefined, revision);
  }

  #wake(): void {
    for (const { revision, resolve } of this.#waiters) if (this.#revision >= revision) resolve(true);
  }
}
