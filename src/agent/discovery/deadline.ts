/** A signal that gives up when its owner does, or when an answer does not come in time: always with an error to show. */
import { TurnaboutError } from "../../wire/errors.ts";

export class Deadline implements Disposable {
  readonly #giveUp = new AbortController();
  readonly #owner: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #onOwner = (): void => {
    this.#giveUp.abort(new TurnaboutError("aborted", "docker: given up", { cause: this.#owner.reason }));
  };

  constructor(what: string, timeoutMs: number, owner: AbortSignal) {
    this.#owner = owner;
    this.#timer = setTimeout(() => {
      const message = `docker ${what}: no answer within ${timeoutMs} ms`;
      this.#giveUp.abort(new TurnaboutError("target_timeout", message));
    }, timeoutMs);
    owner.addEventListener("abort", this.#onOwner, { once: true });
    if (owner.aborted) this.#onOwner();
  }

  get signal(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** The answer has come; only the owner gives up from now on. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stopClock();
    this.#owner.removeEventListener("abort", this.#onOwner);
  }
}
