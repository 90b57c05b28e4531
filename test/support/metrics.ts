/** Metrics as a scraper of ours reads them, and the names in PromQL. */
import assert from "node:assert/strict";
import { pause } from "./events.ts";
import { call } from "./http.ts";
import type { CallOptions } from "./http.ts";

/** Values by series, as they are written: `name{label="value"}`. */
export type Series = ReadonlyMap<string, number>;

function parseMetrics(text: string): Series {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const series = lines.map((line): [string, number] => {
    const space = line.lastIndexOf(" ");
    return [line.slice(0, space), Number(line.slice(space + 1))];
  });
  assert.equal(new Set(series.map(([name]) => name)).size, series.length, "no series comes twice");
  return new Map(series);
}

/** The names of all metrics of a scrape, also of those without a series. */
export function metricNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1] ?? "");
}

export async function scrape(url: string, options: CallOptions = {}): Promise<Series> {
  const { status, body } = await call(url, options);
  assert.equal(status, 200);
  return parseMetrics(body);
}

/** Scrapes again and again until `check` is true: each scrape shows only that moment. */
export async function scrapeUntil(
  url: string,
  check: (series: Series) => boolean,
  what: string,
): Promise<Series> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const series = await scrape(url);
    if (check(series)) return series;
    if (performance.now() > deadline) throw new Error(`${what}: not within 30 s`);
    await pause();
  }
}

/** Names in an expression of PromQL that are neither labels nor words of the language: metrics, functions. */
export function namesInPromql(expression: string): Set<string> {
  const bare = expression
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, "");
  return new Set([...bare.matchAll(/[a-zA-Z_][a-zA-Z0-9_]*/g)].map(([name]) => name));
}
