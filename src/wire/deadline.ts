/** An abort signal with a deadline, whose reason is always an error that can be reported. */
import { TurnaboutError } from "./errors.ts";

export interface DeadlineOptions {
  /** The operation, for the message of `aborted`: `docker list`. */
  label: string;
  timeoutMs: number;
  /** Aborts earlier, with `aborted`. */
  signal: AbortSignal | undefined;
  /** The reason at the deadline. */
  onTimeout: () => TurnaboutError;
}

export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #onOuterAbort: () => void;

  constructor({ label, timeoutMs, signal, onTimeout }: DeadlineOptions) {
    this.#outer = signal;
    const onOuterAbort = (): void => {
      this.#controller.abort(new TurnaboutError("aborted", `${label}: given up`, { cause: signal?.reason }));
    };
    this.#onOuterAbort = onOuterAbort;
    this.#timer = setTimeout(() => this.#controller.abort(onTimeout()), timeoutMs);
    signal?.addEventListener("abort", this.#onOuterAbort, { once: true });
    if (signal?.aborted === true) this.#onOuterAbort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Disarms the timer: from now on only the outer signal aborts. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stopClock();
    this.#outer?.removeEventListener("abort", this.#onOuterAbort);
  }
}
