/** What has happened so far, and a bounded wait for what happens next: for events and for log lines. */
import { within } from "./events.ts";

export class EventLog<T> {
  readonly all: T[] = [];
  readonly #waiting = new Set<() => void>();

  /** Bound, so that it can be handed over as a listener. */
  readonly push = (event: T): void => {
    this.all.push(event);
    for (const look of this.#waiting) look();
  };

  get length(): number {
    return this.all.length;
  }

  /** The first event that matches, from the `from`th on, whether it has come already or not. */
  async find(
    match: (event: T) => boolean,
    what: string,
    { from = 0, timeoutMs }: { from?: number; timeoutMs?: number } = {},
  ): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    let seen = from;
    const look = (): void => {
      for (; seen < this.all.length; seen += 1) {
        const event = this.all[seen];
        if (event !== undefined && match(event)) return resolve(event);
      }
    };
    this.#waiting.add(look);
    look();
    try {
      return await within(promise, what, timeoutMs);
    } catch (cause) {
      throw new Error(`${(cause as Error).message}; so far: ${JSON.stringify(this.all.slice(from))}`, {
        cause,
      });
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** As {@link find} for the `count`th match. */
  async findNth(count: number, match: (event: T) => boolean, what: string, timeoutMs?: number): Promise<T> {
    let left = count;
    const options = timeoutMs === undefined ? {} : { timeoutMs };
    return this.find((event) => match(event) && --left === 0, `${what} (${count} times)`, options);
  }
}
