/** pino on standard error. It may be closed: a log without a reader must not end the server. */
import type { EventEmitter } from "node:events";
import pino from "pino";
import type { DestinationStream } from "pino";

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export function createLogger(level = "info"): Logger {
  const destination: DestinationStream & EventEmitter = pino.destination({ fd: 2, sync: true });
  destination.on("error", () => {});
  return pino({ level, base: null }, destination);
}

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
