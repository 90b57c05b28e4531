/** Commands that commander parses, as commands of ours: the same errors, hints and exit statuses. */
import { Command as Program, CommanderError } from "commander";
import { UsageError } from "./command.ts";
import type { Command } from "./command.ts";

/** Help that was requested, which commander has printed. */
const HELP_EXITS = new Set(["commander.help", "commander.helpDisplayed", "commander.version"]);

/** @param define adds arguments, options, subcommands and the action */
export function programCommand(name: string, summary: string, define: (program: Program) => void): Command {
  const fullName = `turnabout ${name}`;
  const program = new Program(fullName).description(summary).helpOption("-h, --help", "print this");
  define(program);
  for (const each of [program, ...program.commands]) prepare(each);
  return {
    name: fullName,
    summary,
    help: program.helpInformation(),
    parsesHelp: true,
    subcommands: new Map(program.commands.map((each) => [each.name(), each.helpInformation()])),
    async run(args) {
      try {
        await program.parseAsync(args, { from: "user" });
      } catch (error) {
        if (!(error instanceof CommanderError)) throw error;
        if (error.exitCode === 0 && HELP_EXITS.has(error.code)) return;
        if (error.code === "commander.help") throw withoutSubcommand(program);
        const message = error.message.replace(/^error: /, "").replace(/\n[^]*$/, "");
        throw new UsageError(
          message,
          suggestion(error.message) ?? `run \`${helpOf(program, args)} --help\` for the options`,
        );
      }
    },
  };
}

/** Commander would print its help on standard error, without an error. */
function withoutSubcommand(program: Program): UsageError {
  const names = program.commands.map((each) => each.name()).join(", ");
  return new UsageError(
    `${program.name()}: no subcommand`,
    `use ${names}; run \`${program.name()} --help\` for what they do`,
  );
}

/** Of the subcommand that is called, if there is one. */
function helpOf(program: Program, [first]: readonly string[]): string {
  const sub = program.commands.find((each) => each.name() === first);
  return sub === undefined ? program.name() : `${program.name()} ${sub.name()}`;
}

function prepare(program: Program): void {
  program.exitOverride();
  program.configureOutput({ writeErr: () => {} }); // the error is thrown as well
}

/** `(Did you mean --json?)` */
function suggestion(message: string): string | undefined {
  return /\((Did you mean [^)]*)\)/.exec(message)?.[1]?.replace("Did", "did");
}

/** For options that may be repeated. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
