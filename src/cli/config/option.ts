/**
 * Options of a command: one table, from which its flags, environment variables, keys in the configuration file, help and
 * reference are derived.
 */
import { parseArgs } from "node:util";
import { UsageError } from "../command.ts";

export type OptionKind = "text" | "file" | "port" | "seconds" | "count" | "switch" | "choice";

export interface OptionSpec {
  kind: OptionKind;
  /** Placeholder of the value in help. */
  value?: string;
  /** What it is for, as a phrase without a period. */
  text: string;
  /** It may be repeated; in the file it is a list. */
  many?: true;
  choices?: readonly string[];
  /** Smallest and largest number. */
  min?: number;
  max?: number;
  default?: string | number | boolean;
  /** In the file, where it is not the flag in camel case. */
  key?: string;
  /** In the reference, where the schema's example would say too little. */
  example?: string;
}

export type OptionTable<Name extends string = string> = Readonly<Record<Name, OptionSpec>>;

/** A flag of the command line itself: it has no key in the file. */
export const CONFIG_FLAG = "config";
const CONFIG_SPEC: OptionSpec = {
  kind: "file",
  value: "FILE",
  text: "read options from this YAML file; flags and environment variables come first (see docs/configuration.md)",
};

export function specsOf(table: OptionTable): [string, OptionSpec][] {
  return Object.entries(table);
}

/** `tls-cert` → `tlsCert`. */
export function keyOf(name: string, spec: OptionSpec): string {
  return spec.key ?? name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `tls-cert` → `TURNABOUT_TLS_CERT`. */
export function variableOf(name: string): string {
  return `TURNABOUT_${name.replaceAll("-", "_").toUpperCase()}`;
}

/** One that is on by default is only ever turned off: `--no-revdial`. */
export function flagOf(name: string, spec: OptionSpec): string {
  return spec.kind === "switch" && spec.default === true ? `--no-${name}` : `--${name}`;
}

type FlagValue = string | boolean | (string | boolean)[] | undefined;

export interface Flags {
  values: Readonly<Record<string, FlagValue>>;
  /** Options in their order on the command line. */
  given: readonly { name: string; value: string }[];
}

/** @throws UsageError, or an error of node's parseArgs */
export function parseFlags(table: OptionTable, args: readonly string[]): Flags {
  const options = Object.fromEntries(
    [...specsOf(table), [CONFIG_FLAG, CONFIG_SPEC] as const].map(([name, { kind, many }]) => [
      name,
      {
        type: kind === "switch" ? ("boolean" as const) : ("string" as const),
        ...(many === true && { multiple: true }),
      },
    ]),
  );
  const { values, tokens } = parseArgs({
    args: joinNegativeNumbers(args),
    options,
    allowNegative: true,
    tokens: true,
  });
  const given = tokens.flatMap((token) =>
    token.kind === "option" ? [{ name: token.name, value: token.value ?? "" }] : [],
  );
  const empty = given.find(({ name, value }) => value === "" && isText(table, name));
  if (empty !== undefined)
    throw new UsageError(`--${empty.name}: empty`, "give a value, or leave the option out");
  return { values, given };
}

function isText(table: OptionTable, name: string): boolean {
  return name === CONFIG_FLAG || (Object.hasOwn(table, name) && table[name]?.kind !== "switch");
}

/** `--grace -1` is a wrong number, and not an option `-1`. */
function joinNegativeNumbers(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const last = joined.at(-1);
    if (last !== undefined && /^-\d/.test(arg) && /^--[a-z][a-z-]*$/.test(last))
      joined[joined.length - 1] = `${last}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

const HELP_COLUMN = 26;
const HELP_WIDTH = 120;

/** Lines of a command's help, wrapped. */
export function helpOf(table: OptionTable): string {
  return [...specsOf(table), [CONFIG_FLAG, CONFIG_SPEC] as const]
    .flatMap(([name, spec]) => {
      const flag = [`  ${flagOf(name, spec)}`, ...(spec.kind === "switch" ? [] : [spec.value ?? "VALUE"])];
      return entry(flag.join(" "), `${spec.text}${suffix(spec)}`);
    })
    .join("\n");
}

function suffix({ many, default: value }: OptionSpec): string {
  const repeated = many === true ? "; may be repeated" : "";
  return value === undefined || typeof value === "boolean" ? repeated : `${repeated}; default ${value}`;
}

function entry(head: string, text: string): string[] {
  const lines: string[] = [];
  const indent = " ".repeat(HELP_COLUMN);
  let line = head.length < HELP_COLUMN - 1 ? head.padEnd(HELP_COLUMN) : `${head}  `;
  let isStart = true;
  for (const word of text.split(" ")) {
    if (!isStart && line.length + 1 + word.length > HELP_WIDTH) {
      lines.push(line);
      line = indent + word;
    } else line += isStart ? word : ` ${word}`;
    isStart = false;
  }
  return [...lines, line];
}

/** At the end of a command's help. */
export const SOURCES_HELP: string = `Each option is an environment variable too: --log-level is TURNABOUT_LOG_LEVEL. What may be repeated has commas there.
A flag counts before a variable, and a variable before the file of --config.`;
