/** docs/dependencies.md has a row for every package that package.json names, and for no other. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { readDocument, ROOT, sections, tableRows } from "./markdown.ts";

const parts = sections(readDocument("docs/dependencies.md"), 2);
const { dependencies, devDependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(
  readDocument("package.json"),
) as Record<"dependencies" | "devDependencies" | "peerDependencies", Record<string, string>> & {
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
};

function rowsOf(heading: string): string[][] {
  return tableRows(parts.get(heading) ?? assert.fail(`no heading ${heading}`)).slice(1);
}

describe("docs/dependencies.md", () => {
  for (const [heading, packages] of [
    ["Of the published package", dependencies],
    ["That a project adds where it needs them", peerDependencies],
    ["For development", devDependencies],
  ] as const) {
    it(`names the packages, and says what each is for: ${heading}`, () => {
      const rows = rowsOf(heading);
      assert.deepEqual(
        rows.map(([name = ""]) => name.replaceAll("`", "")),
        Object.keys(packages),
      );
      for (const [name = "", purpose = ""] of rows) assert.ok(purpose.length > 5, name);
    });
  }

  it("has no peer dependency that is installed with the package", () => {
    for (const name of Object.keys(peerDependencies))
      assert.equal(peerDependenciesMeta[name]?.optional, true, name);
  });

  it("has the versions that images install as well", () => {
    for (const folder of ["agents/sandbox", "agents/packaging", "test/docker/doubles"]) {
      const manifest = JSON.parse(readDocument(`${folder}/package.json`)) as {
        dependencies: Record<string, string>;
      };
      for (const [name, version] of Object.entries(manifest.dependencies))
        assert.equal(version, devDependencies[name], `${folder}: ${name}`);
    }
  });

  it("names files of ours that exist", () => {
    for (const [, file = ""] of rowsOf("What we wrote ourselves, and why"))
      assert.ok(existsSync(path.join(ROOT, file.replaceAll("`", ""))), file);
  });
});
