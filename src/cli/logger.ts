/** pino with redacted secrets, on standard error: standard output is for the result of a command. */
import type { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import pino from "pino";
import type { DestinationStream } from "pino";
import { RecentLog } from "../wire/diagnosis/recent-log.ts";
import type { Logger } from "../wire/log.ts";
import { UsageError } from "./command.ts";

export interface LogOptions {
  level?: string | undefined;
  format?: string | undefined;
}

/** Lines that a full disk does not take wait up to here; later ones are dropped until it does. */
const MAX_UNWRITTEN_BYTES = 1024 * 1024;

export const LOG_LEVELS: readonly string[] = ["debug", "info", "warn", "error", "silent"];
export const LOG_FORMATS: readonly ("pretty" | "json")[] = ["pretty", "json"];

/** Fields whose values are redacted. No message contains a secret in the first place. */
const SECRET_FIELDS = [
  "token",
  "authorization",
  "proxy-authorization",
  "cookie",
  "password",
  "secret",
  "key",
];

export const LOG_HELP = `  --log-level LEVEL       debug, info (default), warn, error or silent
  --log-format FORMAT     pretty or json; default: pretty on a terminal, json elsewhere`;

/** @throws UsageError for an unknown format */
export function logFormat(given: string | undefined): "pretty" | "json" {
  const format = given ?? (process.stderr.isTTY ? "pretty" : "json");
  if (format === "pretty" || format === "json") return format;
  throw new UsageError(`--log-format ${format}: unknown format`, "use pretty or json");
}

/** @throws UsageError for an unknown level or format */
export function createLogger(options: LogOptions = {}): Logger {
  const level = options.level ?? "info";
  if (!LOG_LEVELS.includes(level))
    throw new UsageError(`--log-level ${level}: unknown level`, `use one of ${LOG_LEVELS.join(", ")}`);
  const format = logFormat(options.format);
  const output = pino.destination({ fd: 2, sync: true, maxLength: MAX_UNWRITTEN_BYTES });
  const destination: DestinationStream & EventEmitter =
    format === "pretty"
      ? loadPretty()({
          destination: output,
          sync: true,
          colorize: process.stderr.isTTY,
          ignore: "pid,hostname",
        })
      : output;
  // A closed log pipe or a full disk must not end the process.
  output.on("error", () => {});
  destination.on("error", () => {});
  const paths = SECRET_FIELDS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `headers["${name}"]`]);
  const lines = pino(
    {
      level,
      redact: { paths, censor: "[redacted]" },
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination,
  );
  return new RecentLog(lines); // a diagnosis has the commands' own lines too
}

/** Loaded where it is used: a service writes JSON. */
function loadPretty(): typeof import("pino-pretty") {
  return createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
}
