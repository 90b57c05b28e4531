/** What a fuzzer saw that must not be: printed one a line, and the process's status. */
import type { Logger } from "../../src/index.ts";

/** An agent tells its operator. */
const REFUSED = "refused; trying again more slowly";

export class Report {
  readonly #wrong: string[] = [];

  add(line: string): void {
    if (this.#wrong.length < 20) this.#wrong.push(line.slice(0, 2_000));
  }

  /** Reports what is logged as an error of ours: whatever a peer does is no more than a warning, but for a refused credential. */
  get logger(): Logger {
    const nothing = (): void => {};
    return {
      debug: nothing,
      info: nothing,
      warn: nothing,
      error: (fields, message) => {
        if (message === REFUSED) return;
        const { err } = fields as { err?: unknown };
        this.add(`logged: ${message} ${err instanceof Error ? String(err.stack) : JSON.stringify(fields)}`);
      },
    };
  }

  /** Resolves to undefined, and reports it, where `work` takes longer. */
  async within<T>(work: Promise<T>, what: string, deadlineMs: number): Promise<T | undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => {
      this.add(`hung: ${what}`);
      resolve(undefined);
    }, deadlineMs);
    try {
      return await Promise.race([work, promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  end(): never {
    for (const line of this.#wrong) process.stdout.write(`${line}\n`);
    process.exit(this.#wrong.length === 0 ? 0 : 1);
  }
}
