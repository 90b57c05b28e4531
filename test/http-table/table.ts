/** Feature × reverse proxy, between two marks in docs/http.md. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { readDocument, ROOT } from "../docs/markdown.ts";
import { COLUMNS } from "./reverse-proxies.ts";
import type { Column } from "./reverse-proxies.ts";

const FILE = "docs/http.md";
const BEGIN = "<!-- http-table:begin -->";
const END = "<!-- http-table:end -->";

export interface Row {
  part: string;
  name: string;
  rfc: string;
  why: string;
  cells: Partial<Record<Column, string>>;
}

/** Without the columns that could not be measured here. */
export function rows(table: readonly Row[], absent: readonly Column[]): Row[] {
  return table.map((row) => ({
    ...row,
    cells: Object.fromEntries(
      Object.entries(row.cells).filter(([column]) => !absent.includes(column as Column)),
    ),
  }));
}

export function documented(absent: readonly Column[]): Row[] {
  const found: Row[] = [];
  let part = "";
  for (const line of parts()[1].split("\n")) {
    const heading = /^### (.*)$/.exec(line)?.[1];
    if (heading !== undefined) part = heading;
    const cells = line
      .replaceAll("\\|", "\0")
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\0", "\\|"));
    const [name = "", ...rest] = cells;
    if (cells.length !== COLUMNS.length + 3 || name === "" || name.startsWith("---") || name === "feature")
      continue;
    const values = COLUMNS.map((column, index) => [column, rest[index] ?? ""] as const);
    const [rfc = "", why = ""] = rest.slice(COLUMNS.length);
    found.push({ part, name, rfc, why, cells: Object.fromEntries(values) });
  }
  return rows(found, absent);
}

/** Columns that were not measured keep what the document says. */
export function write(measured: readonly Row[]): void {
  const [before, , after] = parts();
  const known = documented([]);
  const lines: string[] = [];
  let part = "";
  for (const row of measured) {
    if (row.part !== part) {
      part = row.part;
      const head = ["feature", ...COLUMNS, "RFC", "why"];
      lines.push("", `### ${part}`, "", `| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`);
    }
    const old = known.find(({ part: of, name }) => of === row.part && name === row.name);
    const cells = COLUMNS.map((column) => row.cells[column] ?? old?.cells[column] ?? "?");
    lines.push(`| ${[row.name, ...cells, row.rfc, row.why].join(" | ")} |`);
  }
  writeFileSync(path.join(ROOT, FILE), `${before}${BEGIN}\n${lines.join("\n")}\n\n${END}${after}`);
}

function parts(): [string, string, string] {
  const text = readDocument(FILE);
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${FILE} has no ${BEGIN} … ${END}`);
  return [text.slice(0, begin), text.slice(begin + BEGIN.length, end), text.slice(end + END.length)];
}
