/** Runs one command: prints its help, and errors as `error:` and `hint:`; ignores closed output streams. */
import { CodedError, errorCodeOf } from "../wire/errors.ts";
import { UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { countExternalMemoryAsHeap } from "./external-memory.ts";
import { UpgradeError } from "./handover/upgrade-error.ts";

export async function runCommand(command: Command, args: string[]): Promise<void> {
  surviveClosedOutput();
  countExternalMemoryAsHeap();
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

/** What an operator can do about a system error; node's message names the address or the file. */
const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens on it: choose another port, or 0 for a free one",
  EADDRNOTAVAIL: "this machine does not have the address: check it, or listen on 0.0.0.0",
  EACCES: "no permission: a port below 1024 needs privileges, a path needs write permission on its directory",
  EPERM: "no permission: check the owner and mode of the path",
  ENOENT: "the file or its directory does not exist: check the path, or create the directory",
  ENOTDIR: "a part of the path is not a directory: check the path",
  EISDIR: "this is a directory: give a file",
  EROFS: "the file system is read-only: choose another path",
  ENOTFOUND: "the host name does not resolve: check it, or give an address",
  EAI_AGAIN: "the host name does not resolve: check the DNS, or give an address",
  EINVAL: "the system rejects this address or path: check it",
  EAFNOSUPPORT: "this machine does not support the address family: check the address",
  EMFILE: "too many open files: raise `ulimit -n`",
};

function hintFor(error: unknown, code: string | undefined, commandName: string): string {
  if (error instanceof UsageError || error instanceof UpgradeError) return error.hint;
  if (code?.startsWith("ERR_PARSE_ARGS") === true) return `run \`${commandName} --help\` for the options`;
  if (error instanceof CodedError && error.hint !== undefined) return error.hint;
  const hint = code === undefined ? undefined : SYSTEM_HINTS[code];
  if (hint !== undefined) return hint;
  if (error instanceof CodedError) return `see docs/errors.md, "${error.code}"`;
  return "please report this, with the line above";
}
