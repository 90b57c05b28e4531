/** What docs/errors.md says of each code, as plain text for the page. */

export interface Explanation {
  when: string;
  remedy: string;
}

/** @throws Error for a page without codes */
export function explanationsOf(markdown: string): Record<string, Explanation> {
  const explanations: Record<string, Explanation> = {};
  for (const section of markdown.split(/^## /m).slice(1)) {
    const [code = ""] = section.split("\n", 1);
    const when = /\*\*When\.\*\*([^]*?)(?=\n\n\*\*|$(?![^]))/.exec(section)?.[1];
    const remedy = /\*\*What to do\.\*\*([^]*?)(?=\n\n\*\*|$(?![^]))/.exec(section)?.[1];
    if (when === undefined || remedy === undefined) continue;
    explanations[code.trim()] = { when: plain(when), remedy: plain(remedy) };
  }
  if (Object.keys(explanations).length === 0) throw new Error("docs/errors.md: no code found");
  return explanations;
}

function plain(markdown: string): string {
  return markdown
    .replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .replaceAll(/[`*]/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}
