/** Small parsers of option values, with errors that name the option. */
import { UsageError } from "./command.ts";

export function parsePort(value: string, option: string): number {
  const port = Number(value);
  if (!/^\d{1,5}$/.test(value) || port > 65_535)
    throw new UsageError(`${option} ${value}`, "use a port, 0 to 65535");
  return port;
}

/** Seconds, fractions allowed → milliseconds. Undefined stays undefined. */
export function parseSeconds(value: string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(value) || Number(value) > 86_400 * 365) {
    throw new UsageError(`${option} ${value}`, "use a number of seconds");
  }
  return Math.round(Number(value) * 1_000);
}

export function parseCount(value: string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,6}$/.test(value)) throw new UsageError(`${option} ${value}`, "use a whole number");
  return Number(value);
}

/** Go's flag package takes `-flag value`, `-flag=value` and the same with two dashes. */
export function acceptSingleDash(args: readonly string[]): string[] {
  return args.map((arg) => (/^-[a-z][a-z-]+(=|$)/i.test(arg) ? `-${arg}` : arg));
}
