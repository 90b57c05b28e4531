/** What the documentation's tests need of Markdown: fenced blocks, sections and tables. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** @param name from the root of the repository: `docs/errors.md` */
export function readDocument(name: string): string {
  return readFileSync(path.join(ROOT, name), "utf8");
}

export interface Fence {
  /** The whole info string: `sh run`. */
  info: string;
  body: string;
  /** Line of the opening fence, for messages. */
  line: number;
}

/** Fenced code blocks, in order. Only those that begin at the margin: none of ours is nested. */
export function fences(text: string): Fence[] {
  return [...text.matchAll(/^```([^\n`]*)\n([^]*?)^```$/gm)].map((match) => ({
    info: (match[1] ?? "").trim(),
    body: match[2] ?? "",
    line: text.slice(0, match.index).split("\n").length,
  }));
}

/** Text below each heading of this level, up to the next heading of any level. */
export function sections(text: string, level: number): Map<string, string> {
  const mark = "#".repeat(level);
  const found = text.matchAll(new RegExp(`^${mark} (.+)\\n([^]*?)(?=^#|(?![^]))`, "gm"));
  return new Map([...found].map((match) => [(match[1] ?? "").trim(), match[2] ?? ""]));
}

/** Cells of every table row, without header separators. */
export function tableRows(text: string): string[][] {
  return [...text.matchAll(/^\|(.+)\|$/gm)]
    .map((match) => (match[1] ?? "").split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .filter((cells) => !cells.every((cell) => /^:?-+:?$/.test(cell)));
}
