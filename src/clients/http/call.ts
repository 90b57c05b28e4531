/** One call: what it is, and the two ways to give it up, the caller's signal and the deadline. */
import { Deadline } from "../../wire/deadline.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";

export interface CallOptions {
  /** Gives up, whatever the call waits for; its connection is closed at once. */
  signal?: AbortSignal | undefined;
  /** Longest time until the answer. Default: the method's own. */
  timeoutMs?: number | undefined;
}

/**
 * How far a call is. It decides what a missed deadline means, and so whether a retry is harmless: the service has seen
 * nothing before `answer`.
 */
export type CallPhase = "queue" | "dial" | "answer";

const MISSED: Readonly<Record<CallPhase, { code: ErrorCode; what: string }>> = {
  queue: { code: "overloaded", what: "no free connection" },
  dial: { code: "tunnel_timeout", what: "not connected" },
  answer: { code: "response_timeout", what: "no answer" },
};

export class Call implements Disposable {
  /** `wolf POST /api/v1/lobbies/create`, for error messages. */
  readonly label: string;
  phase: CallPhase = "queue";
  readonly #deadline: Deadline;

  constructor(label: string, timeoutMs: number, signal: AbortSignal | undefined) {
    this.label = label;
    this.#deadline = new Deadline({
      label,
      timeoutMs,
      signal,
      onTimeout: () => {
        const { code, what } = MISSED[this.phase];
        return new TurnaboutError(code, `${label}: ${what} within ${timeoutMs} ms`);
      },
    });
  }

  /** Aborts with the TurnaboutError that the call ends with. */
  get signal(): AbortSignal {
    return this.#deadline.signal;
  }

  /** The answer has begun and may go on for ever. */
  stopClock(): void {
    this.#deadline.stopClock();
  }

  [Symbol.dispose](): void {
    this.#deadline[Symbol.dispose]();
  }
}

/** The promise's value, or the signal's reason as soon as it is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
