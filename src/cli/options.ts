/** Parsers of option values. Their errors name the option. */
import { TurnaboutError } from "../wire/errors.ts";
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

/** Converts seconds (fractions allowed) to milliseconds. Undefined stays undefined. */
export function parseSeconds(value: string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(value) || Number(value) > 86_400 * 365) {
    throw new UsageError(`${option} ${value}: not a number of seconds`, "use seconds, such as 30 or 0.5");
  }
  return Math.round(Number(value) * 1_000);
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

export function parseCount(value: string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,6}$/.test(value))
    throw new UsageError(`${option} ${value}: not a whole number`, "use a number such as 2");
  return Number(value);
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
