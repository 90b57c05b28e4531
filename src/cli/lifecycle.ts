/** Signals and last resorts of a long-running command. */
import type { Logger } from "../wire/log.ts";

/**
 * SIGTERM and SIGINT close in good order; a second one ends at once. Whatever escapes every handler is logged and
 * survived: a tunnel that is up is worth more than a clean stack.
 */
export function runUntilSignal(log: Logger, close: () => Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let closing = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (closing) {
      log.warn({ signal }, "second signal: ending at once");
      process.exit(1);
    }
    closing = true;
    log.info({ signal }, "draining; a second signal ends at once");
    close().then(resolve, (error: unknown) => {
      log.error({ err: error }, "close failed");
      resolve();
    });
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", () => {}); // a lost terminal or ssh session is no reason to end
  process.on("uncaughtException", (error) => log.error({ err: error }, "internal error; going on"));
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "internal error; going on"));
  // Nothing may be left that keeps the process: sockets of callers, timers of libraries.
  return promise.then(() => process.exit(0));
}

/** `ps` and /proc show arguments to everybody: a title of ours takes their place, where the command line has a secret. */
export function hideArguments(title: string): void {
  process.title = title;
}
