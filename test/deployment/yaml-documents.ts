/** The YAML documents of a file. Strict: duplicate keys, unresolved tags and even warnings are errors. */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseAllDocuments } from "yaml";
import { ROOT } from "../docs/markdown.ts";

export interface YamlDocument {
  /** File, from the root of the repository, and the document's place in it. */
  source: string;
  data: unknown;
}

export function readYaml(path: string): YamlDocument[] {
  const file = join(ROOT, path);
  return parseAllDocuments(readFileSync(file, "utf8"), { strict: true, uniqueKeys: true }).map(
    (document, index) => {
      const problem = document.errors[0] ?? document.warnings[0];
      const source = `${relative(ROOT, file)}[${index}]`;
      if (problem !== undefined) throw new Error(`${source}: ${problem.message}`);
      return { source, data: document.toJS() as unknown };
    },
  );
}
