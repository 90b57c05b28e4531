/** Runs one command: prints its help, and errors as `error:` and `hint:`. */
import { CodedError, errorCodeOf, toError } from "../wire/errors.ts";
import { systemErrorHint } from "../wire/system/system-errors.ts";
import { EXIT_STATUS, UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { nearest } from "./config/nearest.ts";
import { unknownVariables } from "./config/unknown-variables.ts";
import { returnMemory } from "./memory-return.ts";
import { endWithStandardOutput, surviveStandardOutput } from "./output/standard-output.ts";
import { setV8Flags } from "./v8-flags.ts";
import { UpgradeError } from "./handover/upgrade-error.ts";

export async function runCommand(command: Command, args: string[]): Promise<void> {
  const isHelp = command.parsesHelp !== true && args.some((arg) => /^--?(help|h)$/.test(arg));
  if (!isHelp && OUTLIVES_OUTPUT.has(command.name)) surviveStandardOutput();
  else endWithStandardOutput();
  setV8Flags();
  returnMemory();
  if (isHelp) {
    process.stdout.write(`${command.help.trim()}\n`);
    return;
  }
  try {
    if (command.hasLog !== true && !QUIET.has(command.name)) await warnOfUnknownVariables();
    await command.run(args);
  } catch (error) {
    fail(error, command);
  }
}

/** `--version` and help, what shells call at every key, and Helix's, which have other variables. */
const QUIET: ReadonlySet<string> = new Set([
  "revdial-client",
  "turnabout",
  "turnabout completion",
  "wolf-revdial-client",
]);

async function warnOfUnknownVariables(): Promise<void> {
  for (const { name, hint } of await unknownVariables(process.env)) {
    process.stderr.write(`warning: unknown variable ${name}, which is not used: ${hint}\n`);
  }
}

/** What these print is beside the point: they go on when standard output cannot be written. */
const OUTLIVES_OUTPUT: ReadonlySet<string> = new Set([
  "revdial-client",
  "turnabout agent",
  "turnabout connect", // its output is the connection's, which ends with it
  "turnabout demo",
  "turnabout forward",
  "turnabout open",
  "turnabout serve",
  "wolf-revdial-client",
]);

function fail(error: unknown, command: Command): void {
  const code = errorCodeOf(error);
  const reported = code?.startsWith("ERR_PARSE_ARGS") === true ? usageErrorOf(error, command) : error;
  const message = reported instanceof Error ? reported.message : String(reported);
  process.stderr.write(`error: ${message}\nhint: ${hintFor(reported, code)}\n`);
  process.exitCode = isOfUse(reported, code) ? EXIT_STATUS.usage : EXIT_STATUS.failed;
}

/** A control plane that refuses a request as malformed refuses what was given on the command line. */
function isOfUse(error: unknown, code: string | undefined): boolean {
  return error instanceof UsageError || (error instanceof CodedError && code === "bad_request");
}

/** What node's parseArgs refuses, without its advice on how to write such a program. */
function usageErrorOf(error: unknown, { name, help }: Command): UsageError {
  const { message } = toError(error);
  const generalHint = `run \`${name} --help\` for the options`;
  const [, option] = /^Unknown option '(-[^']*)'/.exec(message) ?? [];
  if (option !== undefined) {
    const near = nearest(option, optionsOf(help));
    const isNegated = option.startsWith("--no-") && near !== undefined && !near.startsWith("--no-");
    const hint = near === undefined || isNegated ? generalHint : `did you mean ${near}? ${generalHint}`;
    return new UsageError(`unknown option ${option}`, hint);
  }
  const [, extra] = /^Unexpected argument '([^']*)'/.exec(message) ?? [];
  if (extra !== undefined) {
    const hint = `put patterns with * in quotes, or the shell replaces them by names of files; ${generalHint}`;
    return new UsageError(`unexpected argument ${JSON.stringify(extra)}`, hint);
  }
  const [, missing] =
    /^Option '(?:-\w, )?(--[a-z-]+)[^']*' argument (?:missing|is ambiguous)/.exec(message) ?? [];
  if (missing !== undefined) return new UsageError(`${missing}: no value`, generalHint);
  const [, flag] = /^Option '(?:-\w, )?(--[a-z-]+)' does not take an argument/.exec(message) ?? [];
  if (flag !== undefined) return new UsageError(`${flag} takes no value`, `write ${flag} alone`);
  return new UsageError(message, generalHint);
}

function optionsOf(help: string): string[] {
  return [...help.matchAll(/^ {2}(--?[a-z][a-z-]*)/gm)].map(([, option = ""]) => option);
}

function hintFor(error: unknown, code: string | undefined): string {
  if (error instanceof UsageError || error instanceof UpgradeError) return error.hint;
  if (error instanceof CodedError && error.hint !== undefined) return error.hint;
  const hint = systemErrorHint(error, isOfListening(error) ? "address" : undefined);
  if (hint !== undefined) return hint;
  if (error instanceof CodedError) return `see docs/errors.md, "${code ?? error.code}"`;
  return "please report this, with the line above";
}

/** Of a system error: Node names the call. */
function isOfListening(error: unknown): boolean {
  return (
    error instanceof Error && "syscall" in error && (error.syscall === "listen" || error.syscall === "bind")
  );
}
