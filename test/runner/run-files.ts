/** Runs test files, several at a time, and says at the end what failed, what was skipped and what took long. */
import { stripSources } from "./stripped.ts";
import { emptyResult, killRunning, runTestFiles } from "./test-process.ts";
import type { FileResult, TestProcessOptions } from "./test-process.ts";

export interface RunOptions extends Omit<TestProcessOptions, "lingerMs" | "onOutput" | "hooks" | "untilMs"> {
  /** How many processes run at a time. */
  concurrency: number;
  /** Of the whole run: files that have not begun by then fail, those that run are ended. */
  runTimeoutMs: number;
  lingerMs?: number;
  /** Everything that tests write, as it comes; by default only of files that fail. */
  verbose?: boolean;
  /** Called after the last file, before the summary. */
  whenDone?: () => void;
}

/** After its last test a process has only to end; on a machine that is busy with other things this takes time. */
const LINGER_MS = 20_000;
const SLOWEST = 12;

/** What a suite's runner was given: files, node's own `--test-…` flags, `--verbose`. */
export function commandLine(): { given: string[]; flags: string[]; isVerbose: boolean } {
  const all = process.argv.slice(2);
  return {
    given: all.filter((argument) => !argument.startsWith("--")),
    flags: all.filter((argument) => argument.startsWith("--test-")),
    isVerbose: all.includes("--verbose"),
  };
}

/**
 * Files of one group run one after the other in one process, and in another where a file has ended it.
 *
 * @returns the exit status
 */
export async function runFiles(
  groups: readonly (string | readonly string[])[],
  options: RunOptions,
): Promise<number> {
  const started = performance.now();
  endWithUs();
  const hooks = stripSources();
  const queue = groups.map((group) => (typeof group === "string" ? [group] : [...group]));
  const total = groups.flat().length;
  const results: FileResult[] = [];
  const { concurrency, verbose = false, lingerMs = LINGER_MS, runTimeoutMs, whenDone, ...rest } = options;
  const write = (text: string): void => void process.stdout.write(text);
  const untilMs = started + runTimeoutMs;
  const onOutput = verbose ? write : undefined;
  async function work(): Promise<void> {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) await run(group);
  }
  async function run(group: string[]): Promise<void> {
    while (group.length > 0 && performance.now() < untilMs) {
      group.splice(0, await runTestFiles(group, { ...rest, untilMs, hooks, lingerMs, onOutput }, onResult));
    }
    for (const file of group) {
      const faults = [`was not begun: the whole run's ${seconds(runTimeoutMs)} are over`];
      onResult({ ...emptyResult(file), faults });
    }
  }
  function onResult(result: FileResult): void {
    const { file, failed, faults, output } = result;
    results.push(result);
    write(`${line(result, `${results.length}/${total}`)}\n`);
    if (!verbose && isFailed(result)) write(`${output}\n`);
    for (const { name, error } of failed) write(`  ${file}: ${name}\n    ${indented(error)}\n`);
    for (const fault of faults) write(`  ${file} ${fault}\n`);
  }
  await Promise.all(Array.from({ length: concurrency }, work));
  whenDone?.();
  write(summary(results, performance.now() - started));
  return total > 0 && !results.some(isFailed) ? 0 : 1;
}

function isFailed({ failed, faults }: FileResult): boolean {
  return failed.length > 0 || faults.length > 0;
}

function line(result: FileResult, count: string): string {
  const { file, passed, failed, skipped } = result;
  const counts = [`${passed} passed`];
  if (failed.length > 0) counts.push(`${failed.length} failed`);
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  return `${isFailed(result) ? "✖" : "✔"} ${file}: ${counts.join(", ")} (${times(result)}) ${count}`;
}

function times({ wallMs, cpuMs }: FileResult): string {
  return `${seconds(wallMs)}${cpuMs === undefined ? "" : `, CPU ${seconds(cpuMs)}`}`;
}

function indented(text: string): string {
  return text.replaceAll("\n", "\n    ");
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function summary(results: readonly FileResult[], wallMs: number): string {
  const sum = (of: (result: FileResult) => number): number => results.reduce((all, one) => all + of(one), 0);
  const failed = results.filter(isFailed);
  const lines = ["", "slowest files:"];
  for (const result of results.toSorted((a, b) => b.wallMs - a.wallMs).slice(0, SLOWEST)) {
    lines.push(`  ${result.file} ${times(result)}`);
  }
  for (const { file, skipped, todo } of results) {
    lines.push(...byReason(`skipped: ${file}`, skipped), ...byReason(`to do: ${file}`, todo));
  }
  lines.push(
    "",
    `${results.length} files in ${seconds(wallMs)}, CPU ${seconds(sum(({ cpuMs }) => cpuMs ?? 0))}`,
    `tests: ${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed.length)} failed, ` +
      `${sum(({ skipped }) => skipped.length)} skipped`,
  );
  for (const { file, failed: names, faults } of failed) {
    for (const { name } of names) lines.push(`✖ ${file}: ${name}`);
    for (const fault of faults) lines.push(`✖ ${file} ${fault.split("\n")[0]}`);
  }
  return `${lines.join("\n")}\n`;
}

/** One line for all tests of a file that have the same reason. */
function byReason(head: string, tests: readonly { name: string; reason: string }[]): string[] {
  const groups = Map.groupBy(tests, ({ reason }) => reason);
  return [...groups].map(([reason, same]) => {
    return `${head} (${reason}): ${same.map(({ name }) => name).join("; ")}`;
  });
}

/** The files run in sessions of their own: neither a terminal's Ctrl-C nor a kill of the runner reaches them. */
function endWithUs(): void {
  process.once("exit", killRunning);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(1));
  }
}
