/** Runs one command: help, errors as `error:` and `hint:`, and streams that may close under us. */
import { errorCodeOf, TurnaboutError } from "../wire/errors.ts";
import { UsageError } from "./command.ts";
import type { Command } from "./command.ts";

export async function runCommand(command: Command, args: string[]): Promise<void> {
  surviveClosedOutput();
  if (args.some((arg) => /^--?(help|h)$/.test(arg))) {
    process.stdout.write(`${command.help.trim()}\n`);
    return;
  }
  try {
    await command.run(args);
  } catch (error) {
    fail(error, command.name);
  }
}

/** A reader that has gone (EPIPE) must not end an agent: its log pipe may die years before it does. */
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
  if (error instanceof UsageError) return error.hint;
  if (code?.startsWith("ERR_PARSE_ARGS") === true) return `run \`${commandName} --help\` for the options`;
  if (code === "EADDRINUSE")
    return "another process listens there: choose another --port, or 0 for a free one";
  if (code === "EACCES") return "ports below 1024 need privileges: choose a higher --port";
  if (error instanceof TurnaboutError) return `see docs/errors.md, "${error.code}"`;
  return "please report this, with the line above";
}
