/**
 * What the directory needs of a storage engine: keys with revisions, writes by compare-and-set, and one ordered watch over all of
 * them. `../nats/` has it on NATS.
 */

export interface KeyValueEntry {
  key: string;
  /** Undefined: the key was deleted with this revision. */
  value: string | undefined;
  /** Rises with each write to any key, deletions included. */
  revision: number;
}

export interface WatchHandlers {
  /**
   * What follows until `onCaughtUp` is everything that there is, and what is not among it is deleted: at the start, and after a gap
   * that could not be resumed. Revisions may begin anew, if the bucket was made anew.
   */
  onReplay(): void;
  /** In the order of revisions. An entry that was overwritten at once may be left out. */
  onEntry(entry: KeyValueEntry): void;
  /** The replay is complete. */
  onCaughtUp(): void;
}

/**
 * Every write settles within a few seconds. It rejects with {@link RevisionConflict} if it has provably had no effect because the key
 * has another revision; with any other error, its effect is unknown.
 */
export interface KeyValue {
  /** The key must not exist, nor be known as deleted. Returns the revision. */
  create(key: string, value: string): Promise<number>;
  /** The key, or its deletion, must have this revision. */
  update(key: string, value: string, revision: number): Promise<number>;
  delete(key: string, revision: number): Promise<number>;
  /** Drops what is kept of a deletion. Changes nothing that a watch sees. */
  forget(key: string, revision: number): Promise<void>;
  /** Follows all keys, and makes up for its own gaps. Handlers must not throw. */
  watch(handlers: WatchHandlers): { close(): void };
}

/** A compare-and-set that has met another revision. */
export class RevisionConflict extends Error {
  override readonly name = "RevisionConflict";
  readonly key: string;
  /** The key's present revision; 0 if there is none. */
  readonly revision: number;

  constructor(key: string, revision: number) {
    super(`${key} has revision ${revision}`);
    this.key = key;
    this.revision = revision;
  }
}
