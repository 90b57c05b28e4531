/** One test file in a process group of its own, which is gone when this function returns. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { diagnose, diagnosisFlags } from "./diagnosis.ts";
import type { Message } from "./messages.ts";
import { describeProcess, kill, MARK, processesOf } from "./processes.ts";
import type { Preloads } from "./stripped.ts";

export interface TestProcessOptions {
  /** What `stripSources()` has returned. */
  preloads: Preloads;
  /** Passed to node: `--test-name-pattern=…`. */
  flags?: readonly string[];
  /** Of one test. */
  testTimeoutMs: number;
  /** Of the whole file. */
  fileTimeoutMs: number;
  /** How long a process may live on after its last test. */
  lingerMs: number;
  /** Gets the output as it comes; otherwise it is kept. */
  onOutput?: ((text: string) => void) | undefined;
  env?: Record<string, string>;
}

export interface FileResult {
  file: string;
  passed: number;
  failed: { name: string; error: string }[];
  skipped: { name: string; reason: string }[];
  todo: { name: string; reason: string }[];
  /** Why the file fails, apart from its tests: it hung, it left a process, it ended by a signal. */
  faults: string[];
  wallMs: number;
  /** Undefined where the process has not reported it. */
  cpuMs: number | undefined;
  output: string;
}

/** A file that writes without end does not fill the memory. */
const MAX_OUTPUT_CHARACTERS = 2_000_000;
/** A process that has been killed is gone, and a child that ends by itself has ended. */
const SETTLE_MS = 3_000;
const REPORTER = fileURLToPath(new URL("./reporter.ts", import.meta.url));
const running = new Set<() => void>();

/** Ends what runs now, at once: for the runner's own end. */
export function killRunning(): void {
  for (const end of running) end();
}

export async function runTestFile(file: string, options: TestProcessOptions): Promise<FileResult> {
  const started = performance.now();
  const id = randomUUID();
  const path = resolve(file);
  const report = join(tmpdir(), `test-report-${id}.json`);
  const child = spawn(process.execPath, [...nodeFlags(options, report), path], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true, // a session of its own: all of it can be found, and ended
    env: {
      ...process.env,
      ...options.env,
      NODE_TEST_CONTEXT: undefined,
      TEST_FILE: path,
      TEST_HOOKS: options.preloads.hooks,
      TEST_RUNNER_PID: String(process.pid),
      TEST_LINGER_MS: String(options.lingerMs),
      [MARK]: id,
    },
  });
  const pid = child.pid ?? -1;
  const end = (): void => kill([...processesOf(pid, id), ...(pid > 0 ? [asProcess(-pid)] : [])]);
  running.add(end);
  const result: FileResult = {
    file,
    passed: 0,
    failed: [],
    skipped: [],
    todo: [],
    faults: [],
    wallMs: 0,
    cpuMs: undefined,
    output: "",
  };
  const progress = follow(child, result, options);
  const hang = await ended(child, progress, options);
  if (hang !== undefined) {
    result.faults.push([hang, ...(await whatIsOpen(pid, id, report, progress))].join("\n    "));
    end();
  }
  result.faults.push(...(await survivors(pid, id)));
  running.delete(end);
  await Promise.race([progress.closed, delay(SETTLE_MS, undefined, { ref: false })]);
  rmSync(report, { force: true });
  const { exitCode, signalCode } = child;
  const isSilentFailure = result.failed.length === 0 && result.faults.length === 0;
  if (signalCode !== null && hang === undefined)
    result.faults.push(`ended by ${signalCode}${progress.where()}`);
  else if (exitCode !== 0 && isSilentFailure) result.faults.push(`exit code ${exitCode}${progress.where()}`);
  else if (!progress.isDone && isSilentFailure) {
    result.faults.push(`has ended before its tests were done${progress.where()}`);
  }
  return Object.assign(result, { wallMs: performance.now() - started });
}

function nodeFlags({ preloads, flags = [], testTimeoutMs }: TestProcessOptions, report: string): string[] {
  return [
    `--import=${preloads.hooks}`,
    `--import=${preloads.preload}`,
    `--test-reporter=${REPORTER}`,
    "--test-reporter-destination=stdout",
    `--test-timeout=${testTimeoutMs}`,
    ...diagnosisFlags(report),
    ...flags,
  ];
}

interface Progress {
  /** Set when all tests have ended. */
  readonly done: Promise<void>;
  readonly isDone: boolean;
  /** What the process has written, from which the address of its inspector is taken. */
  readonly output: () => string;
  /** What the process itself says is open, after {@link TestProcessOptions.lingerMs}. */
  readonly open: readonly string[];
  /** All pipes are closed. */
  readonly closed: Promise<unknown>;
  /** `, in "NAME"`, or nothing. */
  where(): string;
}

function follow(child: ChildProcess, result: FileResult, { onOutput }: TestProcessOptions): Progress {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  let runningName: string | undefined;
  let open: string[] = [];
  let isDone = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", (text: string) => {
      onOutput?.(text);
      result.output = (result.output + text).slice(-MAX_OUTPUT_CHARACTERS);
    });
  }
  createInterface({ input: child.stdio[3] as Readable }).on("line", (line) => {
    const message = JSON.parse(line) as Message;
    if (message.type === "running") runningName = message.name;
    else if (message.type === "passed") result.passed += 1;
    else if (message.type === "failed") result.failed.push(message);
    else if (message.type === "skipped") result.skipped.push(message);
    else if (message.type === "todo") result.todo.push(message);
    else if (message.type === "usage") result.cpuMs = message.cpuMs;
    else if (message.type === "open") open = message.resources;
    else {
      isDone = true;
      resolve();
    }
  });
  return {
    done,
    get isDone() {
      return isDone;
    },
    output: () => result.output,
    get open() {
      return open;
    },
    closed: once(child, "close"),
    where: () => (runningName === undefined || isDone ? "" : `, in "${runningName}"`),
  };
}

/** Resolves when the process has ended, with nothing, or when it is time to end it, with the reason. */
async function ended(
  child: ChildProcess,
  progress: Progress,
  { fileTimeoutMs, lingerMs }: TestProcessOptions,
): Promise<string | undefined> {
  const abort = new AbortController();
  const after = (ms: number): Promise<unknown> => delay(ms, undefined, { signal: abort.signal });
  const exit = once(child, "exit").then(() => undefined);
  const late = after(fileTimeoutMs).then(
    () => `has not ended after ${Math.round(fileTimeoutMs / 1_000)} s${progress.where()}`,
  );
  // A little more than the process has itself, which can say better what is open.
  const lingers = progress.done
    .then(() => after(lingerMs + 1_000))
    .then(() => `lives on ${lingerMs / 1_000} s after its last test`);
  try {
    return await Promise.race([exit, late, lingers]);
  } finally {
    late.catch(() => {});
    lingers.catch(() => {});
    abort.abort();
  }
}

async function whatIsOpen(pid: number, id: string, report: string, progress: Progress): Promise<string[]> {
  const processes = processesOf(pid, id).map((found) => `process ${describeProcess(found)}`);
  const open = progress.open.map((resource) => `open: ${resource}`);
  return [...(await diagnose(pid, report, progress.output)), ...open, ...processes];
}

/** What the file has left behind, which is ended. */
async function survivors(pid: number, id: string): Promise<string[]> {
  let left = processesOf(pid, id);
  for (const deadline = performance.now() + SETTLE_MS; left.length > 0 && performance.now() < deadline;) {
    await delay(50);
    left = processesOf(pid, id);
  }
  kill(left);
  return left.map((found) => `has left a process behind: ${describeProcess(found)}`);
}

function asProcess(pid: number): { pid: number; state: string; command: string; cpuMs: number } {
  return { pid, state: "", command: "", cpuMs: 0 };
}
