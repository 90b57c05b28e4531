/**
 * Guards callbacks that handle a peer's data. An exception that leaves a callback of an event emitter, a timer or a library
 * ends the process, or leaves an exchange hanging: a guard fails that one exchange instead.
 */
import { toError } from "../errors.ts";

type Fail = (error: Error) => void;

export class Guard {
  readonly #steps: readonly Fail[];

  /**
   * @param steps ways to fail the exchange, mildest first: send an error response, then reset. If one throws, the next is
   * tried; an exception of the last is dropped.
   */
  constructor(...steps: readonly Fail[]) {
    this.#steps = steps;
  }

  /** Runs `work`. Its exception or rejection goes to the steps. Never throws. */
  run(work: () => unknown): void {
    try {
      const result = work();
      if (result instanceof Promise) result.catch(this.fail);
    } catch (error) {
      this.fail(error);
    }
  }

  /** `work` as a listener or callback that never throws. */
  wrap<Arguments extends unknown[]>(work: (...given: Arguments) => unknown): (...given: Arguments) => void {
    return (...given) => this.run(() => work(...given));
  }

  /** Runs the steps for an error that was caught elsewhere. Never throws. */
  readonly fail = (cause: unknown): void => {
    for (const step of this.#steps) {
      try {
        return step(toError(cause));
      } catch {
        // The next step is stronger.
      }
    }
  };
}
