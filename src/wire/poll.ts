/** Polls without overlap, and reports the same error once. */
import { toError } from "./errors.ts";
import { ReportedProblems } from "./reported-problems.ts";

export interface PollOptions {
  intervalMs: number;
  /** The first check is now, not after an interval. Default false. */
  startsAtOnce?: boolean;
  /** Called with each error whose message differs from the last one's. */
  onError: (error: Error) => void;
}

/**
 * Files are polled and not watched: a mounted secret changes by a symlink above the file, which watchers miss.
 *
 * @param check rejects to report an error
 * @returns stops polling
 */
export function poll(
  check: () => Promise<void>,
  { intervalMs, startsAtOnce = false, onError }: PollOptions,
): () => void {
  const reported = new ReportedProblems();
  let isBusy = false;
  const tick = (): void => {
    if (isBusy) return;
    isBusy = true;
    check()
      .then(() => reported.forget(""))
      .catch((cause: unknown) => {
        const error = toError(cause);
        if (reported.isNew("", error.message)) onError(error);
      })
      .finally(() => (isBusy = false));
  };
  if (startsAtOnce) tick();
  const timer = setInterval(tick, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
