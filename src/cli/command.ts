/** The interface of a command, the error for wrong usage, and the exit statuses. */
export interface Command {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  help: string;
  /** It recognises `--help` itself, because it has subcommands or arguments that are not its own. */
  parsesHelp?: boolean;
  /** It has a log, where it reports what it finds at its start itself. */
  hasLog?: boolean;
  /** Their help, by name. */
  subcommands?: ReadonlyMap<string, string>;
  run(args: string[]): Promise<void>;
}

/** Wrong usage: printed as `error:` and `hint:`, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Of all commands. docs/operations.md has them as a table, which a test compares. */
export const EXIT_STATUS = {
  done: 0,
  /** A failure: what was requested could not be done, or a check has failed. */
  failed: 1,
  /** A command line, or input of it, that is wrong. */
  usage: 2,
  /** `EX_SOFTWARE` of sysexits.h: an internal error of a long-running command. */
  internalError: 70,
  /** Whoever read standard output has gone: as a shell reports of a program that SIGPIPE has ended. */
  outputClosed: 141,
} as const;

/** What a command line may begin with: loaded on demand, because an agent need not load the control plane. */
export type CommandTable = Readonly<Record<string, { summary: string; load: () => Promise<Command> }>>;
