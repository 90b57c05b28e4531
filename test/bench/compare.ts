/**
 * `--compare FILE`: the rows of this run beside those of a former one. Ratios are taken within one run, so they compare across
 * machines and load; a figure without a ratio only compares on the same machine.
 */
import { readFile } from "node:fs/promises";
import type { Row, Run } from "./report.ts";

/** Two runs of the same tree differ by as much. */
const TOLERANCE = 1.25;

export interface Change {
  metric: string;
  of: "ratio" | "value";
  before: number;
  now: number;
  /** How many times as good as before: below 1 it is worse. */
  gain: number;
}

/** @throws Error where it is no file of a run */
export async function readRun(file: string): Promise<Run> {
  const run = JSON.parse(await readFile(file, "utf8")) as Partial<Run> | null;
  if (!Array.isArray(run?.rows)) throw new Error(`${file}: not the JSON of a run`);
  return { ...run, rows: run.rows };
}

/** What differs by more than {@link TOLERANCE}, the worst first. */
export function changes(before: Run, now: Run): Change[] {
  const isSameMachine = before.cpu === now.cpu && before.cores === now.cores && before.node === now.node;
  const former = new Map(before.rows.map((row) => [nameOf(row), row]));
  return now.rows
    .flatMap((row) => changeOf(former.get(nameOf(row)), row, isSameMachine) ?? [])
    .filter(({ gain }) => gain > TOLERANCE || gain < 1 / TOLERANCE)
    .toSorted((a, b) => a.gain - b.gain);
}

/** @returns whether nothing is worse */
export function printChanges(found: readonly Change[], file: string): boolean {
  const worse = found.filter(({ gain }) => gain < 1);
  for (const { metric, of, before, now, gain } of found) {
    const figures = `${of} ${before.toPrecision(3)} before, ${now.toPrecision(3)} now`;
    console.log(`${gain < 1 ? "WORSE" : "better"} ${metric}: ${figures}`);
  }
  console.log(
    `- beside ${file}: ${worse.length} worse, ${found.length - worse.length} better by a quarter or more`,
  );
  return worse.length === 0;
}

function nameOf({ section, metric }: Row): string {
  return `${section}: ${metric}`;
}

function changeOf(before: Row | undefined, now: Row, isSameMachine: boolean): Change | undefined {
  if (before === undefined) return undefined;
  const of = before.ratio === undefined || now.ratio === undefined ? "value" : "ratio";
  if (of === "value" && !isSameMachine) return undefined;
  const [was = 0, is = 0] = [before[of], now[of]];
  if (!(was > 0 && is > 0)) return undefined;
  return { metric: nameOf(now), of, before: was, now: is, gain: isMoreBetter(now) ? is / was : was / is };
}

/** By its budget, or by its unit. */
function isMoreBetter({ budget, unit }: Row): boolean {
  if (budget !== undefined) return budget.bound === "at least";
  return unit === "req/s" || unit === "dials/s" || unit === "Mbit/s";
}
