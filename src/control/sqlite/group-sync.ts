/** Flushes written data to the disk, once for all who wait, and never on the event loop. */

export class GroupSync {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  /** Begins after {@link #running}, which may have begun before the latest write. */
  #next: Promise<void> | undefined;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Settles with a flush that begins after this call. */
  async run(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#running = this.#sync().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }
}
