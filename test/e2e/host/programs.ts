/** Programs of the test's container runtime: as a container's user, in its network, and no longer than this process. */
import { spawn } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";

export interface Container {
  /** Network namespace file of its own; undefined: the host's. */
  network: string | undefined;
  /** Undefined where we are an ordinary user ourselves. */
  uid: number | undefined;
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** From SIGTERM to SIGKILL, as `docker stop` has it, but shorter. */
const STOP_TIMEOUT_MS = 5_000;

export function start(
  { network, uid, env, cwd }: Container,
  command: readonly string[],
  stdio: StdioOptions,
): ChildProcess {
  const namespace = network === undefined ? [] : ["nsenter", `--net=${network}`];
  const user = uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  // Without new privileges, because file capabilities (sway has one) would clear the parent-death signal.
  const line = [...namespace, "setpriv", ...user, "--no-new-privs", "--pdeathsig", "KILL", ...command];
  const [program = "", ...args] = line;
  return spawn(program, args, { env, cwd, stdio });
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  child.kill("SIGTERM");
  await exited;
  clearTimeout(timer);
}

export interface Ran {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

export interface RunOptions {
  stdin?: Buffer | undefined;
  /** It leaves a process behind, as wl-copy does: its outputs never end, and are not read. */
  leavesProcess?: boolean;
}

const RUN_TIMEOUT_MS = 10_000;

/** @throws Error if it does not end by itself */
export async function runIn(
  container: Container,
  command: readonly string[],
  { stdin, leavesProcess = false }: RunOptions = {},
): Promise<Ran> {
  const output = leavesProcess ? "ignore" : "pipe";
  const child = start(container, command, ["pipe", output, output]);
  const stdout: Buffer[] = [];
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
  child.stdin?.on("error", () => {}); // it may end without reading
  child.stdin?.end(stdin);
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_TIMEOUT_MS);
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  if (signal !== null) throw new Error(`${command.join(" ")}: ended by ${signal}: ${stderr}`);
  return { code, stdout: Buffer.concat(stdout), stderr };
}
