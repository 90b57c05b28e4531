/** One call with its label, phase and the two ways to abort it: the caller's signal and a deadline. */
import { Deadline } from "../../wire/deadline.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";

export interface CallOptions {
  /** Aborts the call in any phase; its connection is closed at once. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until the response. Default: depends on the method. */
  timeoutMs?: number | undefined;
}

/**
 * The phase of a call. It decides what a missed deadline means, and so whether a retry is safe: before `response` the
 * service has seen nothing of the request.
 */
export type CallPhase = "queue" | "dial" | "response";

const MISSED: Readonly<Record<CallPhase, { code: ErrorCode; what: string }>> = {
  queue: { code: "overloaded", what: "no free connection" },
  dial: { code: "tunnel_timeout", what: "not connected" },
  response: { code: "response_timeout", what: "no response" },
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

  /** Aborted with the TurnaboutError with which the call ends. */
  get signal(): AbortSignal {
    return this.#deadline.signal;
  }

  /** The response has begun; its body may take any time. */
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
