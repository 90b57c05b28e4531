/** Looks again and again, one look at a time, and says the same complaint once. */
import { toError } from "../../wire/errors.ts";

/**
 * Polled, because a mounted secret changes by a symlink somewhere above the file, which watchers miss.
 *
 * @returns stops it
 */
export function poll(
  look: () => Promise<void>,
  everyMs: number,
  complain: (error: Error) => void,
): () => void {
  let busy = false;
  let complaint = "";
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    look()
      .then(() => (complaint = ""))
      .catch((cause: unknown) => {
        const error = toError(cause);
        if (error.message !== complaint) complain(error);
        complaint = error.message;
      })
      .finally(() => (busy = false));
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
