/** Processes that a command has started: its successors, and those that it supervises. */
import { readFileSync } from "node:fs";
import type { Command } from "./commands.ts";
import { eventually } from "./events.ts";

const LISTENS = "control plane listens";

/** A process that serves, other than the one that a test has started. */
export interface Listener extends AsyncDisposable {
  readonly pid: number;
}

/** The process that was the `count`th to listen, by its log line. Disposed, it is ended. */
export async function listener(command: Command, count: number): Promise<Listener> {
  const line = await command.lines.findNth(count, ({ msg }) => msg === LISTENS, LISTENS, 60_000);
  const pid = Number(line["pid"]);
  return {
    pid,
    async [Symbol.asyncDispose]() {
      endProcess(pid, "SIGKILL");
      await gone(pid);
    },
  };
}

/** Nothing happens if it has ended. */
export function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

export async function gone(pid: number): Promise<void> {
  await eventually(() => !isRunning(pid), `the end of ${pid}`, 60_000);
}

/** Whether it runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Its command line, as every user of the machine sees it. */
export function commandLineOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
}
