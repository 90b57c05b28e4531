/** Polls without overlap, and reports the same error once. */
import { toError } from "../../wire/errors.ts";

/**
 * Files are polled and not watched: a mounted secret changes by a symlink above the file, which watchers miss.
 *
 * @param check rejects to report an error
 * @param onError called with each error whose message differs from the last one's
 * @returns stops polling
 */
export function poll(
  check: () => Promise<void>,
  intervalMs: number,
  onError: (error: Error) => void,
): () => void {
  let isBusy = false;
  let lastMessage = "";
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    check()
      .then(() => (lastMessage = ""))
      .catch((cause: unknown) => {
        const error = toError(cause);
        if (error.message !== lastMessage) onError(error);
        lastMessage = error.message;
      })
      .finally(() => (isBusy = false));
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
