/** Signals and unhandled errors of a long-running command. */
import { Socket } from "node:net";
import type { Logger } from "../wire/log.ts";
import { EXIT_STATUS } from "./command.ts";

/** After an internal error: time for running responses to finish, and for agents to connect elsewhere. */
const FAULT_DRAIN_MS = 3_000;
/** Of it, for what is open: the rest is for sending agents and callers away. */
const FAULT_OPEN_MS = 1_000;

/**
 * SIGTERM and SIGINT drain; a second one exits at once.
 *
 * An uncaught exception or an unhandled rejection ends the process too, with status 70 after a short drain: the state it
 * leaves is unknown, and a supervisor starts a new process (docs/decisions/027-uncaught-exceptions.md).
 *
 * @param ending drains as well when it is aborted, by a successor or a supervisor
 */
export function runUntilSignal(
  log: Logger,
  close: (drainMs?: number) => Promise<void>,
  ending?: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let closing = false;
  let exitsAtSignal = false;
  let exitCode: number = EXIT_STATUS.done;
  const start = (drainMs?: number) => {
    closing = true;
    close(drainMs).then(
      () => resolve(exitCode),
      (error: unknown) => {
        report(log, error, "close failed");
        resolve(exitCode);
      },
    );
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (exitsAtSignal) {
      log.warn({ signal }, "second signal: exiting at once");
      exitAtOnce(1);
    }
    exitsAtSignal = true;
    log.info({ signal }, "draining; a second signal exits at once");
    if (!closing) start();
  };
  const onFault = (error: unknown) => {
    const isFirst = exitCode === EXIT_STATUS.done;
    exitCode = EXIT_STATUS.internalError;
    exitsAtSignal = true;
    if (isFirst) setTimeout(() => exitAtOnce(EXIT_STATUS.internalError), FAULT_DRAIN_MS);
    report(log, error, "internal error: ending the process; please report this");
    if (isFirst && !closing) attempt(() => start(FAULT_OPEN_MS)); // the timer ends the process in any case
  };
  const onEnding = () => {
    if (!closing) start();
  };
  if (ending?.aborted === true) onEnding();
  ending?.addEventListener("abort", onEnding);
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", () => {}); // a lost terminal or SSH connection does not end it
  process.on("uncaughtException", onFault);
  process.on("unhandledRejection", onFault);
  // Sockets of callers or timers of libraries must not keep the process alive.
  return promise.then((code) => process.exit(code));
}

/** Never throws, although the thrown value may be anything, such as an object with getters that throw. */
function report(log: Logger, error: unknown, text: string): void {
  if (attempt(() => log.error({ err: error }, text))) return;
  attempt(() => log.error({ err: "the thrown value cannot be read" }, text));
}

/** Whether `work` has succeeded. An exception here would end the process at once, with status 7 and no log line. */
function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/**
 * Exits without a drain. The kernel would close connections with FIN, and what is delimited by the end of the connection
 * (CONNECT tunnels, HTTP/1.0 responses) would look complete. So they are reset. A Unix socket has no reset.
 */
export function exitAtOnce(code: number): never {
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

/** `ps` and /proc show arguments to every user. A title replaces them if the command line contains a secret. */
export function hideArguments(title: string): void {
  process.title = title;
}
