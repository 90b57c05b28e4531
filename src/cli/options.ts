/** Parsers of option values. Their errors name the option. */
import { TurnaboutError } from "../wire/errors.ts";
import { FILE_NAME_HINT, inPlaceOfFile } from "../wire/fields/secret-text.ts";
import { UsageError } from "./command.ts";

/** Reports a value that the library rejects (a runner id, an address, a URL) as wrong usage of the command. */
export function asUsageError<T>(commandName: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TurnaboutError) || error.code !== "config_invalid") throw error;
    throw new UsageError(error.message, error.hint ?? `run \`${commandName} --help\` for the options`);
  }
}

export function parsePort(value: string, option: string): number {
  const port = Number(value);
  if (!/^\d{1,5}$/.test(value) || port > 65_535)
    throw new UsageError(`${option} ${value}: not a port`, "use 0 to 65535");
  return port;
}

/** The longest that a timer waits, 24 days: a longer one would fire at once. */
export const MAX_SECONDS = 2_147_483;
export const MAX_COUNT = 999_999;

export interface Range {
  min?: number | undefined;
  max?: number | undefined;
}

/** Converts seconds (fractions allowed) to milliseconds. Undefined stays undefined. */
export function parseSeconds(
  value: string | undefined,
  option: string,
  { min = 0, max = MAX_SECONDS }: Range = {},
): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(value)) {
    throw new UsageError(`${option} ${value}: not a number of seconds`, "use seconds, such as 30 or 0.5");
  }
  checkRange(Number(value), option, { min, max });
  return Math.round(Number(value) * 1_000);
}

function checkRange(number: number, option: string, { min, max }: { min: number; max: number }): void {
  if (number >= min && number <= max) return;
  const what = number < min ? `less than ${min}` : `more than ${max}`;
  throw new UsageError(`${option} ${number}: ${what}`, `use ${min} to ${max}`);
}

export function parseChoice<Value extends string>(
  value: string | undefined,
  option: string,
  choices: readonly Value[],
): Value | undefined {
  const found = choices.find((choice) => choice === value);
  if (value !== undefined && found === undefined) {
    throw new UsageError(`${option} ${value}: unknown value`, `use ${choices.join(", ")}`);
  }
  return found;
}

export function parseCount(
  value: string | undefined,
  option: string,
  { min = 0, max = MAX_COUNT }: Range = {},
): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value))
    throw new UsageError(`${option} ${value}: not a whole number`, "use a number such as 2");
  checkRange(Number(value), option, { min, max });
  return Number(value);
}

/** A number from `min` to `max`, whole unless `fractions` is set. */
export function parseNumber(
  value: string,
  option: string,
  { min, max, fractions = false }: { min: number; max: number; fractions?: boolean },
): number {
  const number = Number(value);
  const isNumber = fractions ? /^\d{1,9}(\.\d{1,9})?$/.test(value) : /^\d{1,12}$/.test(value);
  if (isNumber && number >= min && number <= max) return number;
  const kind = fractions ? "number" : "whole number";
  throw new UsageError(`${option} ${value}: not a ${kind} from ${min} to ${max}`, `use ${min} to ${max}`);
}

/**
 * Rewrites flags of Go's flag package to ours. It accepts `-flag value`, `-flag=value` and both with two dashes; booleans as
 * `-flag`, `-flag=true` or `-flag=false`.
 */
export function acceptGoFlags(args: readonly string[], booleans: readonly string[]): string[] {
  return args.flatMap((arg) => {
    const [, name = "", value] = /^--?([a-z][a-z-]+)(?:=(.*))?$/is.exec(arg) ?? [];
    if (name === "") return [arg];
    if (value === undefined || !booleans.includes(name)) return [arg.replace(/^--?/, "--")];
    if (/^(1|t|true)$/i.test(value)) return [`--${name}`];
    if (/^(0|f|false)$/i.test(value)) return [];
    throw new UsageError(`-${name}=${value}: not a boolean`, `use -${name}, -${name}=true or -${name}=false`);
  });
}

/**
 * @param from `--token-file`, `TURNABOUT_TOKEN_FILE`
 *
 * @throws UsageError for a secret itself, without any part of it
 */
export function requireFileName(text: string, from: string): void {
  const what = inPlaceOfFile(text);
  if (what !== undefined) throw new UsageError(`${from}: ${what}`, FILE_NAME_HINT);
}
