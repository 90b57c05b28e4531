/** Runs one command: prints its help, and errors as `error:` and `hint:`; ignores closed output streams. */
import { CodedError, errorCodeOf } from "../wire/errors.ts";
import { systemErrorHint } from "../wire/system/system-errors.ts";
import { UsageError } from "./command.ts";
import type { Command } from "./command.ts";
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
    fail(error, command.name);
  }
}

/** A closed output (EPIPE) must not end an agent: the reader of its log may exit long before it does. */
export function surviveClosedOutput(): void {
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
}

function fail(error: unknown, commandName: string): void {
  const code = errorCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${message}\nhint: ${hintFor(error, code, commandName)}\n`);
  process.exitCode = error instanceof UsageError || code?.startsWith("ERR_PARSE_ARGS") === true ? 2 : 1;
}

function hintFor(error: unknown, code: string | undefined, commandName: string): string {
  if (error instanceof UsageError || error instanceof UpgradeError) return error.hint;
  if (code?.startsWith("ERR_PARSE_ARGS") === true) return `run \`${commandName} --help\` for the options`;
  if (error instanceof CodedError && error.hint !== undefined) return error.hint;
  const hint = systemErrorHint(error, isOfListening(error) ? "address" : undefined);
  if (hint !== undefined) return hint;
  if (error instanceof CodedError) return `see docs/errors.md, "${error.code}"`;
  return "please report this, with the line above";
}

/** Of a system error: Node names the call. */
function isOfListening(error: unknown): boolean {
  return (
    error instanceof Error && "syscall" in error && (error.syscall === "listen" || error.syscall === "bind")
  );
}
