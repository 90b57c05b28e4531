/** Callers that send one request after the other, each on a connection of its own, until they are stopped. */
import { errorCodeOf } from "../../src/wire/errors.ts";
import { within } from "./events.ts";
import { call } from "./http.ts";

const CALLERS = 4;

export interface Outcome {
  responses: number;
  /** `ECONNREFUSED`, or `503 …` for a status that is not 200. */
  failures: string[];
}

export class Traffic implements AsyncDisposable {
  readonly #url: string;
  readonly #outcome: Outcome = { responses: 0, failures: [] };
  readonly #callers: Promise<void>[];
  readonly #waiting = new Set<{ count: number; resolve: () => void }>();
  #running = true;

  constructor(url: string, callers: number = CALLERS) {
    this.#url = url;
    this.#callers = Array.from({ length: callers }, () => this.#loop());
  }

  /** Resolves after this many further responses. */
  async responses(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ count: this.#outcome.responses + count, resolve });
    await within(promise, `${count} further responses; so far ${JSON.stringify(this.#outcome)}`, 60_000);
  }

  async stop(): Promise<Outcome> {
    this.#running = false;
    await Promise.all(this.#callers);
    return this.#outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #loop(): Promise<void> {
    while (this.#running) {
      const failure = await this.#request();
      if (failure === undefined) this.#outcome.responses += 1;
      else this.#outcome.failures.push(failure);
      for (const waiting of this.#waiting) {
        if (this.#outcome.responses < waiting.count) continue;
        this.#waiting.delete(waiting);
        waiting.resolve();
      }
    }
  }

  async #request(): Promise<string | undefined> {
    try {
      const { status, body } = await call(this.#url, { timeoutMs: 60_000 });
      return status === 200 ? undefined : `${status} ${body}`;
    } catch (error) {
      return errorCodeOf(error) ?? (error as Error).message;
    }
  }
}
