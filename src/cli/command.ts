/** What a command is, and how it says that it was called wrongly. */
export interface Command {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  help: string;
  run(args: string[]): Promise<void>;
}

/** Wrong use: printed as `error:` and `hint:`, exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
