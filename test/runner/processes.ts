/** Processes of one test file, wherever they went: by their session, and by a mark in their environment. Linux. */
import { readdirSync, readFileSync } from "node:fs";

export interface FoundProcess {
  pid: number;
  /** `D`, `R`, `S`, … (proc(5)). */
  state: string;
  command: string;
  cpuMs: number;
}

/** The mark: `TEST_FILE_ID=…` in the environment of a test process, inherited by what it starts. */
export const MARK = "TEST_FILE_ID";

/** Every living process of the session that `leader` leads, or with this mark. Without /proc: none. */
export function processesOf(leader: number, id: string): FoundProcess[] {
  const mark = `${MARK}=${id}\0`;
  return pids().flatMap((pid) => {
    const found = look(pid);
    if (found === undefined || found.state === "Z" || found.state === "X") return [];
    const isOurs = found.session === leader || read(`/proc/${pid}/environ`).includes(mark);
    return isOurs ? [found] : [];
  });
}

export function kill(found: readonly FoundProcess[]): void {
  for (const { pid } of found) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // has ended by itself
    }
  }
}

export function describeProcess({ pid, state, cpuMs, command }: FoundProcess): string {
  return `${pid} (state ${state}, ${(cpuMs / 1_000).toFixed(1)} s of CPU) ${command}`;
}

function pids(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  } catch {
    return [];
  }
}

function look(pid: number): (FoundProcess & { session: number }) | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === "") return undefined;
  const [state = "?", , , session, ...rest] = stat.replace(/^.*\) /s, "").split(" ");
  // Without the flags that the runner itself has given.
  const command = read(`/proc/${pid}/cmdline`)
    .replaceAll(/\0--(?:import|test|inspect|report)[^\0]*/g, "")
    .replaceAll("\0", " ")
    .trim();
  return {
    pid,
    state,
    session: Number(session),
    command: command === "" ? (/\((.*)\)/s.exec(stat)?.[1] ?? "?") : command.slice(0, 300),
    cpuMs: (Number(rest[7]) + Number(rest[8])) * 10,
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // ended, or another user's
  }
}
