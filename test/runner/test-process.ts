/** Test files in a process of their own, which has a session of its own and is gone when this function returns. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { diagnose, diagnosisFlags } from "./diagnosis.ts";
import { CHANNEL, GO_ON } from "./messages.ts";
import type { Message } from "./messages.ts";
import { describeProcess, kill, MARK, processesOf } from "./processes.ts";

export interface TestProcessOptions {
  /** What `stripSources()` has returned. */
  hooks: string;
  /** Passed to node: `--test-name-pattern=…`. */
  flags?: readonly string[];
  /** Of one test. */
  testTimeoutMs: number;
  /** Of a whole file. */
  fileTimeoutMs: number;
  /** When the last file has to have ended, by `performance.now()`. */
  untilMs?: number;
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
const MAIN = fileURLToPath(new URL("./files.ts", import.meta.url));
const running = new Set<() => void>();

/** Ends what runs now, at once: for the runner's own end. */
export function killRunning(): void {
  for (const end of running) end();
}

/**
 * Runs `files` one after the other. A file that hangs, ends the process or leaves something open is the last one that
 * this process runs.
 *
 * @returns how many have been run, each with its result in `onResult`
 */
export async function runTestFiles(
  files: readonly string[],
  options: TestProcessOptions,
  onResult: (result: FileResult) => void,
): Promise<number> {
  const id = randomUUID();
  const report = join(tmpdir(), `test-report-${id}.json`);
  const paths = files.map((file) => resolve(file));
  const child = spawn(process.execPath, [...nodeFlags(options, report), MAIN, ...paths], {
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    detached: true, // a session of its own: all of it can be found, and ended
    env: {
      ...process.env,
      ...options.env,
      NODE_TEST_CONTEXT: undefined,
      TEST_HOOKS: options.hooks,
      TEST_LINGER_MS: String(options.lingerMs),
      [MARK]: id,
    },
  });
  const pid = child.pid ?? -1;
  const end = (): void => kill([...processesOf(pid, id), ...(pid > 0 ? [asProcess(-pid)] : [])]);
  running.add(end);
  const progress = follow(child, options);
  let count = 0;
  let isGoing = true;
  let hasFailed = false;
  while (isGoing && count < files.length) {
    const started = performance.now();
    const result = emptyResult(files[count] ?? "");
    progress.begin(result);
    count += 1;
    const isLast = count === files.length;
    const hang = await ended(child, progress, options);
    isGoing = hang === undefined && progress.isEnded && !isLast;
    if (hang !== undefined) {
      result.faults.push([hang, ...(await whatIsOpen(pid, id, report, progress))].join("\n    "));
      end();
    }
    result.faults.push(...(await survivors(pid, id, isGoing)));
    if (!isGoing) await Promise.race([progress.closed, delay(SETTLE_MS, undefined, { ref: false })]);
    const isSilent = !hasFailed && result.failed.length === 0 && result.faults.length === 0;
    result.faults.push(...badEnd(child, progress, hang !== undefined, isSilent));
    hasFailed ||= result.failed.length > 0;
    onResult(Object.assign(result, { wallMs: performance.now() - started }));
    if (isGoing) (child.stdio[GO_ON] as Writable).write("\n");
  }
  running.delete(end);
  rmSync(report, { force: true });
  return count;
}

/** What is wrong with how the process has ended, or with the status that it would end with. */
function badEnd(child: ChildProcess, progress: Progress, isHang: boolean, isSilent: boolean): string[] {
  const { signalCode } = child;
  const exitCode = child.exitCode ?? progress.exitCode;
  if (signalCode !== null) return isHang ? [] : [`ended by ${signalCode}${progress.where()}`];
  if (!isSilent) return [];
  if (exitCode !== 0) return [`exit code ${exitCode}${progress.where()}`];
  return progress.isDone ? [] : [`has ended before its tests were done${progress.where()}`];
}

export function emptyResult(file: string): FileResult {
  const none = { passed: 0, failed: [], skipped: [], todo: [], faults: [] };
  return { file, ...none, wallMs: 0, cpuMs: undefined, output: "" };
}

function nodeFlags({ hooks, flags = [], testTimeoutMs }: TestProcessOptions, report: string): string[] {
  return [
    `--import=${hooks}`,
    `--test-reporter=${REPORTER}`,
    "--test-reporter-destination=stdout",
    `--test-timeout=${testTimeoutMs}`,
    ...diagnosisFlags(report),
    ...flags,
  ];
}

/** Of the file that runs now. */
interface Progress {
  begin(result: FileResult): void;
  /** Settles when all its tests have ended. */
  readonly done: Promise<void>;
  readonly isDone: boolean;
  /** Settles when the process waits to begin the next file. */
  readonly ended: Promise<void>;
  readonly isEnded: boolean;
  readonly exitCode: number;
  /** What the process has written, from which the address of its inspector is taken. */
  readonly output: () => string;
  /** What the process itself says is open, after {@link TestProcessOptions.lingerMs}. */
  readonly open: readonly string[];
  /** All pipes are closed. */
  readonly closed: Promise<unknown>;
  /** `, in "NAME"`, or nothing. */
  where(): string;
}

function follow(child: ChildProcess, { onOutput }: TestProcessOptions): Progress {
  let result = emptyResult("");
  let usedCpuMs = 0;
  let runningName: string | undefined;
  let done = Promise.withResolvers<void>();
  let fileEnd = Promise.withResolvers<void>();
  const progress = {
    isDone: false,
    isEnded: false,
    exitCode: 0,
    open: [] as readonly string[],
    begin: (next: FileResult): void => {
      result = next;
      runningName = undefined;
      done = Promise.withResolvers<void>();
      fileEnd = Promise.withResolvers<void>();
      Object.assign(progress, { isDone: false, isEnded: false, open: [] });
    },
    get done() {
      return done.promise;
    },
    get ended() {
      return fileEnd.promise;
    },
    output: () => result.output,
    closed: once(child, "close"),
    where: () => (runningName === undefined || progress.isDone ? "" : `, in "${runningName}"`),
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", (text: string) => {
      onOutput?.(text);
      result.output = (result.output + text).slice(-MAX_OUTPUT_CHARACTERS);
    });
  }
  child.stdio[GO_ON]?.on("error", () => {}); // the process has gone
  createInterface({ input: child.stdio[CHANNEL] as Readable }).on("line", (line) => {
    const message = JSON.parse(line) as Message;
    if (message.type === "running") runningName = message.name;
    else if (message.type === "passed") result.passed += 1;
    else if (message.type === "failed") result.failed.push(message);
    else if (message.type === "skipped") result.skipped.push(message);
    else if (message.type === "todo") result.todo.push(message);
    else if (message.type === "open") progress.open = message.resources;
    else if (message.type === "usage") {
      result.cpuMs = message.cpuMs - usedCpuMs;
      usedCpuMs = message.cpuMs;
    } else if (message.type === "done") {
      progress.isDone = true;
      done.resolve();
    } else {
      Object.assign(progress, { isEnded: true, exitCode: message.exitCode });
      fileEnd.resolve();
    }
  });
  return progress;
}

/** Resolves when the file or its process has ended, with nothing, or when it is time to end it, with the reason. */
async function ended(
  child: ChildProcess,
  progress: Progress,
  { fileTimeoutMs, lingerMs, untilMs = Infinity }: TestProcessOptions,
): Promise<string | undefined> {
  const limitMs = Math.max(0, Math.min(fileTimeoutMs, untilMs - performance.now()));
  const abort = new AbortController();
  const after = (ms: number): Promise<unknown> => delay(ms, undefined, { signal: abort.signal });
  const exit = once(child, "exit", { signal: abort.signal }).then(() => undefined);
  const end = progress.ended.then(() => undefined);
  const late = after(limitMs).then(
    () => `has not ended after ${Math.round(limitMs / 1_000)} s${progress.where()}`,
  );
  // A little more than the process has itself, which can say better what is open.
  const lingers = progress.done
    .then(() => after(lingerMs + 1_000))
    .then(() => `lives on ${lingerMs / 1_000} s after its last test`);
  try {
    return await Promise.race([exit, end, late, lingers]);
  } finally {
    exit.catch(() => {});
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

/** What the file has left behind, which is ended. Its own process is meant to be there where it goes on. */
async function survivors(pid: number, id: string, isGoing: boolean): Promise<string[]> {
  const find = () => processesOf(pid, id).filter((found) => !isGoing || found.pid !== pid);
  let left = find();
  for (const deadline = performance.now() + SETTLE_MS; left.length > 0 && performance.now() < deadline;) {
    await delay(50);
    left = find();
  }
  kill(left);
  return left.map((found) => `has left a process behind: ${describeProcess(found)}`);
}

function asProcess(pid: number): { pid: number; state: string; command: string; cpuMs: number } {
  return { pid, state: "", command: "", cpuMs: 0 };
}
