/** The logger interface of every part. It is pino's, so that a caller can pass a pino logger. */
import { Guard } from "./streams/guard.ts";

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function nothing(): void {}

/** A logger that is not ours may throw, on a full disk for example: what it throws is dropped. */
export function guardedLogger(log: Logger): Logger {
  const guard = new Guard(nothing);
  return {
    debug: (fields, message) => guard.run(() => log.debug(fields, message)),
    info: (fields, message) => guard.run(() => log.info(fields, message)),
    warn: (fields, message) => guard.run(() => log.warn(fields, message)),
    error: (fields, message) => guard.run(() => log.error(fields, message)),
  };
}
