/** Proxy × feature, as measured by the tests, between two marks in docs/deployment.md. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { readDocument, ROOT } from "../docs/markdown.ts";
import { KINDS, versionOf } from "./proxies.ts";
import type { ProxyName } from "./proxies.ts";

const FILE = "docs/deployment.md";
const BEGIN = "<!-- fronts:begin -->";
const END = "<!-- fronts:end -->";

export class Table {
  readonly #features: string[] = [];
  readonly #cells = new Map<string, string>();

  put(feature: string, proxy: ProxyName, cell: string): void {
    if (!this.#features.includes(feature)) this.#features.push(feature);
    this.#cells.set(`${feature} ${proxy}`, cell);
    console.log(`${KINDS[proxy].title}: ${feature}: ${cell}`);
  }

  toString(): string {
    const proxies = Object.keys(KINDS) as ProxyName[];
    const head = proxies.map((proxy) => `${KINDS[proxy].title} ${versionOf(proxy)}`);
    const rows = this.#features.map((feature) => [
      feature,
      ...proxies.map((proxy) => this.#cells.get(`${feature} ${proxy}`) ?? "–"),
    ]);
    return [["", ...head], head.map(() => "---").concat("---"), ...rows]
      .map((row) => `| ${row.join(" | ")} |`)
      .join("\n");
  }

  write(): void {
    const [before, , after] = parts();
    writeFileSync(path.join(ROOT, FILE), `${before}${BEGIN}\n\n${this.toString()}\n\n${END}${after}`);
  }
}

/** The table in the document, without versions and without the formatter's spaces. */
export function documented(): string {
  return comparable(parts()[1]);
}

export function comparable(table: string): string {
  return table
    .replaceAll(/ \d+\.\d+\.\d+/g, "")
    .replaceAll(/-{3,}/g, "---")
    .replaceAll(/ +/g, " ")
    .trim();
}

function parts(): [string, string, string] {
  const text = readDocument(FILE);
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${FILE} has no ${BEGIN} … ${END}`);
  return [text.slice(0, begin), text.slice(begin + BEGIN.length, end), text.slice(end + END.length)];
}
