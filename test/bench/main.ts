/**
 * `npm run bench`: Turnabout beside a plain TCP relay of as many hops, in one run, against the budgets of the design.
 * A missed budget is a finding, not a failure: the exit code is non-zero only where something could not be measured, or is worse
 * than in the run of `--compare`.
 */
import { killWorkers } from "./worker.ts";
import { parseOptions } from "./options.ts";
import { changes, printChanges, readRun } from "./compare.ts";
import { printTable, runOf, writeJson } from "./report.ts";
import type { Report } from "./report.ts";
import type { Section } from "./sections/section.ts";

/** A section takes two minutes at most (those with floods four), the whole run seven, unless the machine is very busy. */
const SECTION_DEADLINE_MS = 400_000;
const RUN_DEADLINE_MS = 600_000;

const options = parseOptions(process.argv.slice(2));
// Before the run: it may overwrite the file.
const former = options.compare === undefined ? undefined : await readRun(options.compare);
const report: Report = { rows: [], notes: [], failures: [] };
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

for (const [name, section] of options.sections) {
  const startedAt = performance.now();
  try {
    await withDeadline(name, section);
  } catch (error) {
    report.failures.push({ section: name, error: error instanceof Error ? error.message : String(error) });
    killWorkers();
  }
  console.error(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
}
printTable(report);
await writeJson(report, options.json);
const isAsGood =
  former === undefined || printChanges(changes(former, runOf(report)), options.compare ?? "the former run");
// Not by itself: a section that was given up may still have timers. Workers are killed on the way out.
process.exit(report.failures.length === 0 && isAsGood ? 0 : 1);

async function withDeadline(name: string, section: Section): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const deadlineMs = Math.min(SECTION_DEADLINE_MS, RUN_DEADLINE_MS - performance.now());
  const timer = setTimeout(() => {
    reject(new Error(`not done within ${(deadlineMs / 1_000).toFixed(0)} s`));
  }, deadlineMs);
  try {
    await Promise.race([
      promise,
      section({
        ...options.durations,
        rows: options.rows,
        add: (row) => report.rows.push({ section: name, ...row }),
        note: (text) => report.notes.push(text),
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
