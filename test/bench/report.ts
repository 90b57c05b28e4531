/** Rows of the report: what was measured, beside what, against which budget; as a table and as JSON. */
import { mkdir, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

export type Unit = "req/s" | "dials/s" | "ms" | "µs" | "Mbit/s" | "KiB" | "MiB" | "s" | "";

export interface Budget {
  /** Which of the row's figures the limit is for. */
  of: "value" | "ratio";
  bound: "at least" | "at most";
  limit: number;
}

export interface Row {
  section: string;
  metric: string;
  unit: Unit;
  value: number;
  /** The same of the plain relay, or of the idle tunnel. */
  baseline?: number;
  ratio?: number;
  budget?: Budget;
  note?: string;
}

export interface Report {
  rows: Row[];
  /** What was used, and what could not be measured as meant. */
  notes: string[];
  failures: { section: string; error: string }[];
}

/** `met`, or by how much not; empty without a budget. */
export function verdict({ value, ratio, budget, unit }: Row): string {
  if (budget === undefined) return "";
  const figure = budget.of === "value" ? value : (ratio ?? Number.NaN);
  const missing = budget.bound === "at least" ? budget.limit - figure : figure - budget.limit;
  if (missing <= 0) return "met";
  return `MISSED by ${number(missing)}${budget.of === "value" ? ` ${unit}` : ""}`;
}

export function printTable(report: Report): void {
  const lines = [["metric", "value", "baseline", "ratio", "budget", "verdict", "note"]];
  for (const row of report.rows) {
    const { budget, unit } = row;
    lines.push([
      `${row.section}: ${row.metric}`,
      `${number(row.value)} ${unit}`,
      row.baseline === undefined ? "" : `${number(row.baseline)} ${unit}`,
      row.ratio === undefined ? "" : row.ratio.toFixed(2),
      budget === undefined
        ? ""
        : `${budget.bound === "at least" ? "≥" : "≤"} ${budget.limit}${budget.of === "value" ? ` ${unit}` : ""}`,
      verdict(row),
      row.note ?? "",
    ]);
  }
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  for (const cells of lines) {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column >= 1 && column <= 3 ? cell.padStart(width) : cell.padEnd(width);
    });
    console.log(padded.join("  ").trimEnd());
  }
  for (const note of report.notes) console.log(`- ${note}`);
  for (const { section, error } of report.failures) console.log(`FAILED ${section}: ${error}`);
}

/** A report as it is kept, with what it was measured on. */
export interface Run extends Pick<Report, "rows"> {
  cpu?: string | undefined;
  cores?: number | undefined;
  node?: string | undefined;
}

export function runOf(report: Report): Run {
  return {
    node: process.version,
    cores: os.availableParallelism(),
    cpu: os.cpus()[0]?.model,
    rows: report.rows.map((row) => ({ ...row, verdict: verdict(row) })),
  };
}

export async function writeJson(report: Report, file: string): Promise<void> {
  const { notes, failures } = report;
  const run = { date: new Date().toISOString(), kernel: os.release(), ...runOf(report), notes, failures };
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(run, null, 2)}\n`);
}

/** Three significant digits or so: more would only be noise. */
function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : 2);
}
