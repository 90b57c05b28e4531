/** A step of a check, bounded in time: also one that cannot be aborted, such as the lookup of a name. */
import { Deadline } from "../../wire/deadline.ts";
import { TurnaboutError } from "../../wire/errors.ts";

export interface Step {
  /** For the message: `name cp.example`. */
  label: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** @throws TurnaboutError `tunnel_timeout` at the deadline, `aborted` if the whole check ends */
export async function inTime<T>(
  { label, timeoutMs, signal }: Step,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const onTimeout = (): TurnaboutError =>
    new TurnaboutError("tunnel_timeout", `${label}: nothing within ${timeoutMs / 1_000} s`);
  using deadline = new Deadline({ label, timeoutMs, signal, onTimeout });
  const ended = Promise.withResolvers<never>();
  const onAbort = (): void => ended.reject(deadline.signal.reason as Error);
  deadline.signal.addEventListener("abort", onAbort, { once: true });
  if (deadline.signal.aborted) onAbort();
  try {
    return await Promise.race([work(deadline.signal), ended.promise]);
  } finally {
    deadline.signal.removeEventListener("abort", onAbort);
    ended.promise.catch(() => {}); // nobody may be left to see it
  }
}

/** It has ended by its deadline, or by that of all checks. */
export function isTimeout(error: unknown): boolean {
  return error instanceof TurnaboutError && (error.code === "tunnel_timeout" || error.code === "aborted");
}
