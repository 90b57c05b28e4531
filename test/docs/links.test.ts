/** Links of the packed documents lead to packed documents, and to headings that they have. */
import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { fences, readDocument, ROOT } from "./markdown.ts";

const { files } = JSON.parse(readDocument("package.json")) as { files: string[] };
/** npm adds these by itself. */
const ALWAYS = ["README.md", "LICENSE", "package.json"];
const PACKED = [...files, ...ALWAYS];
const DOCUMENTS = globSync(["*.md", "docs/**/*.md"], { cwd: ROOT })
  .map((file) => file.replaceAll(path.sep, "/"))
  .filter(isPacked);

/** `file` from the root. */
function isPacked(file: string): boolean {
  return PACKED.some((entry) => file === entry || file.startsWith(`${entry}/`));
}

/** Of a heading, as GitHub makes them. */
function anchorOf(heading: string): string {
  const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "");
  return text
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}

function anchorsOf(text: string): Set<string> {
  return new Set(
    [...withoutFences(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, title = ""]) => anchorOf(title)),
  );
}

function withoutFences(text: string): string {
  return fences(text).reduce((rest, { body }) => rest.replace(body, ""), text);
}

/** Of one document, each as `docs/a.md: ../src/b.ts`. */
function deadLinks(document: string, text: string): string[] {
  const links = [...withoutFences(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(document, text, link))
    .map((link) => `${document}: ${link}`);
}

function leadsSomewhere(document: string, text: string, link: string): boolean {
  const [file = "", anchor] = link.split("#");
  const target = file === "" ? document : path.posix.join(path.posix.dirname(document), file);
  if (file !== "" && (!isPacked(target.replace(/\/$/, "")) || !existsSync(path.join(ROOT, target))))
    return false;
  if (anchor === undefined || !target.endsWith(".md")) return true;
  return anchorsOf(file === "" ? text : readDocument(target)).has(anchor);
}

describe("links of the packed documents", () => {
  it("lead to packed documents and their headings", () => {
    assert.ok(DOCUMENTS.length > 50 && DOCUMENTS.includes("docs/operations.md"));
    assert.deepEqual(
      DOCUMENTS.flatMap((document) => deadLinks(document, readDocument(document))),
      [],
    );
  });

  it("would be found dead", () => {
    const text =
      "## One\n[a](../src/index.ts) [b](#one) [c](#two) [d](errors.md) [e](no.md) [f](https://x.example/)";
    assert.deepEqual(deadLinks("docs/a.md", text), [
      "docs/a.md: ../src/index.ts",
      "docs/a.md: #two",
      "docs/a.md: no.md",
    ]);
  });
});
