/** Runs one command: prints its help, and errors as `error:` and `hint:`; ignores closed output streams. */
import { CodedError, errorCodeOf, toError } from "../wire/errors.ts";
import { systemErrorHint } from "../wire/system/system-errors.ts";
import { UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { nearest } from "./config/nearest.ts";
import { returnMemory } from "./memory-return.ts";
import { setV8Flags } from "./v8-flags.ts";
import { UpgradeError } from "./handover/upgrade-error.ts";

export async function runCommand(command: Command, args: string[]): Promise<void> {
  surviveClosedOutput();
  setV8Flags();
  returnMemory();
  if (command.parsesHelp !== true && args.some((arg) => /^--?(help|h)$/.test(arg))) {
    process.stdout.write(`${command.help.trim()}\n`);
    return;
  }
  try {
    await command.run(args);
  } catch (error) {
    fail(error, command);
  }
}

/** A closed output (EPIPE) must not end an agent: the reader of its log may exit long before it does. */
export function surviveClosedOutput(): void {
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
}

function fail(error: unknown, command: Command): void {
  const code = errorCodeOf(error);
  const reported = code?.startsWith("ERR_PARSE_ARGS") === true ? usageErrorOf(error, command) : error;
  const message = reported instanceof Error ? reported.message : String(reported);
  process.stderr.write(`error: ${message}\nhint: ${hintFor(reported, code)}\n`);
  process.exitCode = reported instanceof UsageError ? 2 : 1;
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
