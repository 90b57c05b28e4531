/** Signals and last resorts of a long-running command. */
import { Socket } from "node:net";
import type { Logger } from "../wire/log.ts";

/** After an internal error running responses have so long to become complete, and agents to go elsewhere. */
const FAULT_DRAIN_MS = 3_000;

/** `EX_SOFTWARE` of sysexits.h: an internal error. */
const FAULT_EXIT_CODE = 70;

/**
 * SIGTERM and SIGINT close in good order; a second one ends at once.
 *
 * An exception that has left every guard, or a rejection that has no handler, ends the process too, with status 70 after
 * a short drain: nothing proves what it left half done, and a supervisor's new process is whole
 * (docs/decisions/027-uncaught-exceptions.md).
 */
export function runUntilSignal(log: Logger, close: () => Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let closing = false;
  let exitCode = 0;
  const start = () => {
    closing = true;
    close().then(
      () => resolve(exitCode),
      (error: unknown) => {
        report(log, error, "close failed");
        resolve(exitCode);
      },
    );
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (closing) {
      log.warn({ signal }, "second signal: ending at once");
      exitAtOnce(1);
    }
    log.info({ signal }, "draining; a second signal ends at once");
    start();
  };
  const onFault = (error: unknown) => {
    const isFirst = exitCode === 0;
    exitCode = FAULT_EXIT_CODE;
    if (isFirst) setTimeout(() => exitAtOnce(FAULT_EXIT_CODE), FAULT_DRAIN_MS);
    report(log, error, "internal error: ending the process; please report this");
    if (isFirst && !closing) attempt(start); // the timer ends the process whatever becomes of it
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", () => {}); // a lost terminal or ssh session is no reason to end
  process.on("uncaughtException", onFault);
  process.on("unhandledRejection", onFault);
  // Nothing may be left that keeps the process: sockets of callers, timers of libraries.
  return promise.then((code) => process.exit(code));
}

/** Never throws: what was thrown may be anything, also an object whose properties throw when they are read. */
function report(log: Logger, error: unknown, text: string): void {
  if (attempt(() => log.error({ err: error }, text))) return;
  attempt(() => log.error({ err: "what was thrown cannot be read" }, text));
}

/** Whether `work` has not thrown. An exception here would end the process at once, with status 7 and without a word. */
function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/**
 * Ends the process without a drain. The kernel would close its connections with FIN, and what is delimited by the end of
 * the connection (CONNECT tunnels, HTTP/1.0 responses) would look complete: they are reset instead. A Unix socket has no
 * reset.
 */
function exitAtOnce(code: number): never {
  const handles = (process as unknown as { _getActiveHandles?: () => unknown[] })._getActiveHandles?.() ?? [];
  for (const handle of handles) {
    try {
      if (handle instanceof Socket) handle.resetAndDestroy();
    } catch {
      // Not a TCP connection: a pipe, or a Unix socket.
    }
  }
  process.exit(code);
}

/** `ps` and /proc show arguments to everybody: a title of ours takes their place, where the command line has a secret. */
export function hideArguments(title: string): void {
  process.title = title;
}
