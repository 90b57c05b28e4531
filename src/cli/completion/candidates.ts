/** The candidates for the word that is being typed. Whatever goes wrong, there are fewer of them, and no message. */
import type { CommandTable } from "../command.ts";
import { readProfiles } from "../remote/profiles.ts";
import { knownRunners } from "./known-runners.ts";
import type { KnownRunner } from "./known-runners.ts";
import { SHELLS } from "./scripts.ts";

type Kind = "runner" | "target" | "forward";

/** What the arguments of a command are. */
const ARGUMENTS: Readonly<Record<string, Kind>> = {
  status: "runner",
  ping: "runner",
  kick: "runner",
  forward: "forward",
  connect: "target",
  curl: "target",
  open: "target",
};
/** Commands with more than one argument of this kind. */
const MANY: ReadonlySet<string> = new Set(["forward"]);

/** Commands whose options `--runner` and `--target` select what the control plane knows. */
const SELECTING: ReadonlySet<string> = new Set(["tail", "diag"]);

/**
 * @param before the complete words after `turnabout`
 * @param current what has been typed of the next one; undefined if the shell does not tell
 */
export async function candidates(
  before: readonly string[],
  current: string | undefined,
  commands: CommandTable,
): Promise<string[]> {
  const [name, ...rest] = before;
  if (name === undefined) return [...Object.keys(commands), "help", "--help", "--version"];
  if (name === "completion") return rest.length === 0 ? [...SHELLS] : [];
  if (name === "help") return rest.length === 0 ? Object.keys(commands) : [];
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) return [];
  const { help, subcommands = new Map<string, string>() } = await entry.load();
  const chosen = rest.map((word) => subcommands.get(word)).find((text) => text !== undefined);
  if (subcommands.size > 0 && chosen === undefined) return [...subcommands.keys(), "--help"];
  const options = optionsIn(chosen ?? help);
  const last = rest.at(-1);
  const valued = last !== undefined && options.get(last) === true ? last : undefined;
  if (valued !== undefined) return valuesOf(name, valued, rest);
  const names = current?.startsWith("-") === true ? [] : await argumentsOf(name, { rest, current, options });
  // Behind `PORT=` no option can follow.
  return name === "forward" && rest.at(-1) === "=" ? names : [...names, ...options.keys()];
}

async function valuesOf(name: string, option: string, words: readonly string[]): Promise<string[]> {
  if (option === "--profile") return profileNames();
  if (!SELECTING.has(name)) return [];
  const runners = option === "--runner" || option === "--target" ? await knownRunners(words) : [];
  if (option === "--runner") return runners.map(({ id }) => id);
  return [...new Set(runners.flatMap(({ targets }) => targets))];
}

interface Typed {
  rest: readonly string[];
  current: string | undefined;
  options: ReadonlyMap<string, boolean>;
}

async function argumentsOf(name: string, { rest, current, options }: Typed): Promise<string[]> {
  const kind = Object.hasOwn(ARGUMENTS, name) ? ARGUMENTS[name] : undefined;
  if (kind === undefined) return [];
  const given = rest.filter(
    (word, i) => !word.startsWith("-") && options.get(rest[i - 1] ?? "") !== true && word !== "=",
  );
  if (given.length > 0 && !MANY.has(name)) return [];
  if (kind === "forward") return forwardsOf(rest, current);
  const runners = await knownRunners(rest);
  return kind === "runner" ? runners.map(({ id }) => id) : targetsOf(runners);
}

/** Behind `PORT=`, which bash takes for words of their own. */
async function forwardsOf(rest: readonly string[], current = ""): Promise<string[]> {
  const at = current.lastIndexOf("=");
  const isBehindEqual = rest.at(-1) === "=" || current === "=";
  if (at === -1 && !isBehindEqual) return [];
  const typed = isBehindEqual ? "" : current.slice(0, at + 1);
  return targetsOf(await knownRunners(rest)).map((target) => `${typed}${target}`);
}

function targetsOf(runners: readonly KnownRunner[]): string[] {
  return runners.flatMap(({ id, targets }) => targets.map((target) => `${id}/${target}`));
}

function profileNames(): string[] {
  try {
    return Object.keys(readProfiles().profiles);
  } catch {
    return [];
  }
}

/** The options of a command's help, and whether each takes a value. */
function optionsIn(help: string): Map<string, boolean> {
  const found = help.matchAll(/^ {2,}(?:(-\w), )?(--[a-z][a-z-]*)( <| [A-Z])?/gm);
  const options = new Map<string, boolean>();
  for (const [, short, long = "", value] of found) {
    if (short !== undefined && value !== undefined) options.set(short, true);
    options.set(long, value !== undefined || options.get(long) === true);
  }
  return options.set("--help", false);
}
