/** `turnabout completion`: a script for a shell, and the candidates that it requests. */
import { UsageError } from "../command.ts";
import type { Command, CommandTable } from "../command.ts";
import { nearest } from "../config/nearest.ts";
import { candidates } from "./candidates.ts";
import { SCRIPTS, SHELLS } from "./scripts.ts";

const HELP = `
usage: turnabout completion bash|zsh|fish

Prints a script that completes commands, options, and the names of runners and targets, which it requests from the control plane:

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
      if (first === "complete") {
        const [current = "", ...before] = words;
        return print(await candidates(before, current, commands));
      }
      if (first === "words") return print(await candidates(words, undefined, commands)); // of older scripts
      if (first === "--help" || first === "-h") return void process.stdout.write(`${HELP.trim()}\n`);
      const shell = SHELLS.find((name) => name === first);
      if (shell === undefined) throw notSupported(first);
      process.stdout.write(SCRIPTS[shell]);
    },
  };
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

function notSupported(given: string | undefined): UsageError {
  const hint = `use one of ${SHELLS.join(", ")}`;
  if (given === undefined) return new UsageError("no shell given", hint);
  const near = nearest(given, SHELLS);
  const meant = near === undefined ? "" : `did you mean ${near}? `;
  return new UsageError(`no completion for the shell ${JSON.stringify(given)}`, `${meant}${hint}`);
}
