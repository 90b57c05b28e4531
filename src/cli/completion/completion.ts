/** `turnabout completion`: a script for a shell, and the candidates that it asks for. */
import { UsageError } from "../command.ts";
import type { Command, CommandTable } from "../command.ts";
import { SCRIPTS, SHELLS } from "./scripts.ts";

const HELP = `
usage: turnabout completion bash|zsh|fish

Prints a script that completes commands and options:

  bash   eval "$(turnabout completion bash)"                   in ~/.bashrc
  zsh    eval "$(turnabout completion zsh)"                    in ~/.zshrc, after compinit
  fish   turnabout completion fish > ~/.config/fish/completions/turnabout.fish
`;

export function createCompletion(commands: CommandTable): Command {
  return {
    name: "turnabout completion",
    summary: "completion of command lines for bash, zsh or fish",
    help: HELP,
    parsesHelp: true, // the words of a command line that is being typed may have it
    async run(args) {
      const [first, ...words] = args;
      if (first === "words")
        return void process.stdout.write(`${(await candidates(words, commands)).join("\n")}\n`);
      if (first === "--help" || first === "-h") return void process.stdout.write(`${HELP.trim()}\n`);
      const shell = SHELLS.find((name) => name === first);
      if (shell === undefined) throw new UsageError("no shell given", `use one of ${SHELLS.join(", ")}`);
      process.stdout.write(SCRIPTS[shell]);
    },
  };
}

/** @param words the complete words after `turnabout` */
async function candidates(words: readonly string[], commands: CommandTable): Promise<string[]> {
  const [name, ...rest] = words;
  if (name === undefined) return [...Object.keys(commands), "--help", "--version"];
  if (name === "completion") return rest.length === 0 ? [...SHELLS] : [];
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) return [];
  const { help, subcommands = new Map<string, string>() } = await entry.load();
  if (subcommands.size === 0) return optionsIn(help);
  const chosen = rest.map((word) => subcommands.get(word)).find((text) => text !== undefined);
  return chosen === undefined ? [...subcommands.keys(), "--help"] : optionsIn(chosen);
}

function optionsIn(help: string): string[] {
  const options = [...help.matchAll(/^ {2,}(?:-\w, )?(--[a-z][a-z-]*)/gm)].map(([, option = ""]) => option);
  return [...new Set([...options, "--help"])];
}
