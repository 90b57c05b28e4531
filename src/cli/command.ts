/** The interface of a command, and the error for wrong usage. */
export interface Command {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  help: string;
  /** It recognises `--help` itself, because it has subcommands or arguments that are not its own. */
  parsesHelp?: boolean;
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

/** What a command line may begin with: loaded on demand, because an agent need not load the control plane. */
export type CommandTable = Readonly<Record<string, { summary: string; load: () => Promise<Command> }>>;
