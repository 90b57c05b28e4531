/** `turnabout COMMAND`. */
import { VERSION } from "../wire/version.ts";
import { UsageError } from "./command.ts";
import type { Command, CommandTable } from "./command.ts";
import { nearest } from "./config/nearest.ts";
import { runCommand } from "./run-command.ts";

const COMMANDS: CommandTable = {
  serve: {
    summary: "run the control plane",
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  upgrade: {
    summary: "replace a running control plane without an outage",
    load: async () => (await import("./commands/upgrade.ts")).upgrade,
  },
  agent: {
    summary: "connect to a control plane and serve named targets",
    load: async () => (await import("./commands/agent.ts")).agent,
  },
  check: {
    summary: "check an agent's way to its control plane, and its targets",
    load: async () => (await import("./commands/check.ts")).check,
  },
  token: {
    summary: "create a token and its entry for the token file",
    load: async () => (await import("./commands/token.ts")).token,
  },
  config: {
    summary: "check a configuration file, or print its schema",
    load: async () => (await import("./commands/config.ts")).config,
  },
  status: {
    summary: "list runners, their targets and connections",
    load: async () => (await import("./operator/status.ts")).status,
  },
  ping: {
    summary: "measure the round trip to a runner's agent",
    load: async () => (await import("./operator/ping.ts")).ping,
  },
  events: {
    summary: "print events as they happen",
    load: async () => (await import("./operator/events.ts")).events,
  },
  tail: {
    summary: "print requests as they end",
    load: async () => (await import("./tail/tail.ts")).tail,
  },
  diag: {
    summary: "collect a diagnosis of the control plane and its agents (admin)",
    load: async () => (await import("./diag/diag.ts")).diag,
  },
  forward: {
    summary: "local ports for targets behind the tunnel",
    load: async () => (await import("./operator/forward.ts")).forward,
  },
  connect: {
    summary: "standard input and output, connected to a target",
    load: async () => (await import("./operator/connect.ts")).connect,
  },
  curl: {
    summary: "send a request to a target with curl",
    load: async () => (await import("./operator/curl.ts")).curl,
  },
  open: {
    summary: "open a target in the browser",
    load: async () => (await import("./operator/open.ts")).open,
  },
  tokens: {
    summary: "list, create, revoke and rotate tokens (admin)",
    load: async () => (await import("./operator/tokens.ts")).tokens,
  },
  sessions: {
    summary: "list, create and stop sessions",
    load: async () => (await import("./operator/sessions.ts")).sessions,
  },
  instances: {
    summary: "list Wolf instances (admin)",
    load: async () => (await import("./operator/instances.ts")).instances,
  },
  kick: {
    summary: "close a runner's connections; its agent connects again",
    load: async () => (await import("./operator/kick.ts")).kick,
  },
  profile: {
    summary: "save servers and tokens",
    load: async () => (await import("./operator/profile.ts")).profile,
  },
  completion: {
    summary: "completion of command lines for bash, zsh or fish",
    load: async () => (await import("./completion/completion.ts")).createCompletion(COMMANDS),
  },
  demo: {
    summary: "run a two-level system with doubles of Wolf and Moonlight Web on this machine",
    load: async () => (await import("./commands/demo.ts")).demo,
  },
};

export async function main(args: string[]): Promise<void> {
  const [name = "--help", ...rest] = args;
  if (name === "--version" || name === "-v" || name === "version") {
    return runCommand(
      printing(() => `turnabout ${VERSION}\n`),
      rest,
    );
  }
  if (name === "--help" || name === "-h" || name === "help") {
    return runCommand({ ...printing(overview), run: () => helpOn(rest) }, rest);
  }
  const command = await load(name).catch((error: unknown) =>
    printing(() => {
      throw error;
    }),
  );
  return runCommand(command, rest);
}

/** @throws UsageError for a command that there is not */
async function load(name: string): Promise<Command> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry !== undefined) return entry.load();
  const names = Object.keys(COMMANDS);
  const near = nearest(name, names) ?? abbreviated(name, names);
  const hint = `${near === undefined ? "" : `did you mean ${near}? `}use ${names.join(", ")}`;
  throw new UsageError(`unknown command ${JSON.stringify(name)}`, hint);
}

/** `stat`: too short for a misspelling. */
function abbreviated(name: string, names: readonly string[]): string | undefined {
  const [only, ...others] = names.filter((each) => name !== "" && each.startsWith(name));
  return others.length === 0 ? only : undefined;
}

function printing(text: () => Promise<string> | string): Command {
  const run = async (): Promise<void> => void process.stdout.write(await text());
  return { name: "turnabout", summary: "", help: "", parsesHelp: true, run };
}

/** `turnabout help`, `turnabout help tokens create`. */
async function helpOn([name, subcommand]: readonly string[]): Promise<void> {
  if (name === undefined || name.startsWith("-")) return printing(overview).run([]);
  const command = await load(name);
  const { help, name: fullName, parsesHelp = false, subcommands } = command;
  if (subcommand !== undefined && !subcommand.startsWith("-") && subcommands?.has(subcommand) !== true) {
    throw new UsageError(
      `${fullName}: no subcommand ${JSON.stringify(subcommand)}`,
      subcommands === undefined || subcommands.size === 0
        ? `use turnabout help ${name}`
        : `use ${[...subcommands.keys()].join(", ")}`,
    );
  }
  if (!parsesHelp) return printing(() => `${help.trim()}\n`).run([]);
  await command.run([...(subcommand === undefined ? [] : [subcommand]), "--help"]);
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
  return `turnabout ${VERSION}: HTTP/2 reverse tunnel

usage: turnabout COMMAND [OPTIONS]

commands:
${lines.join("\n")}

\`turnabout help COMMAND\` and \`turnabout COMMAND --help\` list the options of a command.
`;
}
