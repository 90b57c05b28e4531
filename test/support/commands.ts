/** Turnabout's commands as real processes, followed by what they log. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { within } from "./events.ts";
import { ADMIN_TOKEN } from "./system.ts";

/** A process takes its time to start, on a busy machine all the more. */
const TIMEOUT_MS = 60_000;

export type CommandName = "turnabout" | "revdial-client" | "wolf-revdial-client";

/** One line of standard error: what pino writes, or a bare text as `msg`. */
export interface LogLine {
  msg: string;
  level: number;
  [field: string]: unknown;
}

export interface CommandOptions {
  env?: Record<string, string | undefined>;
  /** Of the process. Default: nothing to read, pipes that are followed. */
  cwd?: string;
  /** Open descriptors that it inherits, as 3, 4, …. */
  descriptors?: readonly number[];
  /** Put in front of the command line: `nsenter` for another network. */
  through?: readonly string[];
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Command implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: EventLog<LogLine> = new EventLog();
  readonly output: EventLog<string> = new EventLog();
  readonly exited: Promise<Exit>;

  /** @param name one of our commands, or the URL of a script */
  constructor(name: CommandName | URL, args: readonly string[], options: CommandOptions = {}) {
    const url = name instanceof URL ? name : new URL(`../../src/cli/${name}.ts`, import.meta.url);
    const script = fileURLToPath(url);
    const line = [...(options.through ?? []), process.execPath, ...nodeFlags(), script, ...args];
    this.child = spawn(line[0] ?? "", line.slice(1), {
      stdio: ["ignore", "pipe", "pipe", ...(options.descriptors ?? [])],
      env: { ...cleanEnvironment(), ...options.env },
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.child.once("close", (code, signal) => resolve({ code, signal }));
    this.exited = promise;
    closedAtTheEnd(() => this[Symbol.asyncDispose]());
    follow(this.child.stderr, (line) => this.lines.push(parseLine(line)));
    follow(this.child.stdout, this.output.push);
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get stdout(): string {
    return this.output.all.join("\n");
  }

  /** Everything that it has written to standard error. */
  get stderr(): string {
    return this.lines.all.map((line) => JSON.stringify(line)).join("\n");
  }

  /** The first log line with this message, from the `from`th line on. */
  async logged(message: string | RegExp, from = 0, timeoutMs: number = TIMEOUT_MS): Promise<LogLine> {
    const matches = ({ msg }: LogLine) =>
      typeof message === "string" ? msg.includes(message) : message.test(msg);
    const options = { from, timeoutMs };
    return this.lines.find(matches, `log line ${String(message)}`, options);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.child.kill(signal);
    return within(this.exited, `the end of ${this.pid}`, TIMEOUT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) this.child.kill("SIGKILL");
    await within(this.exited, `the end of ${this.pid}`);
  }
}

export async function run(
  name: CommandName,
  args: readonly string[],
  options?: CommandOptions,
): Promise<Exit & { stdout: string; stderr: string }> {
  await using command = new Command(name, args, options);
  const exit = await within(command.exited, `the end of ${name} ${args.join(" ")}`, TIMEOUT_MS);
  const stderr = command.lines.all.map(({ msg }) => msg).join("\n");
  return { ...exit, stdout: command.stdout, stderr };
}

export interface ServeCommand extends Command {
  port: number;
  url: string;
}

/** `turnabout serve` on a free port of 127.0.0.1, or on a given one. Resolves when it listens. */
export async function startServe(
  args: readonly string[] = [],
  { port = 0, tls = false, env = {} }: { port?: number; tls?: boolean; env?: CommandOptions["env"] } = {},
): Promise<ServeCommand> {
  const command = new Command(
    "turnabout",
    ["serve", "--port", String(port), "--host", "127.0.0.1", "--drain", "5", ...args],
    { env: { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN, ...env } },
  );
  const line = await command.logged("control plane listens").catch(async (error: unknown) => {
    await command[Symbol.asyncDispose]();
    throw error;
  });
  const bound = Number(line["port"]);
  const url = tls ? `https://localhost:${bound}` : `http://127.0.0.1:${bound}`;
  return Object.assign(command, { port: bound, url });
}

/** `turnabout agent` with one runner. Does not wait: an agent may be meant to fail. */
export function startAgent(
  server: string,
  runner: string,
  target: string,
  args: readonly string[] = [],
  env: CommandOptions["env"] = {},
): Command {
  return new Command(
    "turnabout",
    ["agent", "--server", server, "--runner", runner, "--target", target, "--backoff-cap", "0.3", ...args],
    { env: { TURNABOUT_TOKEN: ADMIN_TOKEN, ...env } },
  );
}

/** Under the test runner our sources need not be stripped anew in every process. */
export function nodeFlags(): string[] {
  const { TEST_HOOKS: hooks } = process.env;
  return hooks === undefined ? [] : [`--import=${hooks}`];
}

/** Without what would change a command's behaviour behind the test's back. */
export function cleanEnvironment(): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { ...process.env, NODE_TEST_CONTEXT: undefined };
  for (const name of Object.keys(env)) {
    if (
      /^(https?_proxy|no_proxy|all_proxy|npm_config_.*proxy|otel_.*|turnabout_.*|helix_.*|wolf_.*|runner_.*)$/i.test(
        name,
      )
    ) {
      env[name] = undefined;
    }
  }
  return env;
}

function follow(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream === null) return;
  stream.on("error", () => {}); // permanent
  createInterface({ input: stream }).on("line", onLine);
}

function parseLine(text: string): LogLine {
  try {
    const value = JSON.parse(text) as LogLine;
    if (typeof value.msg === "string") return value;
  } catch {
    // not pino's: an `error:` line, a stack, a warning of node's
  }
  return { msg: text, level: 0 };
}
