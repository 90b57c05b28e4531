import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { ALONE, groupFiles } from "./groups.ts";

describe("groups of test files", () => {
  const [alone = ""] = Object.keys(ALONE);
  const folder = (name: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${name}/${index}.test.ts`);
  const files = [...folder("src/a", 2), ...folder("a", 9), ...folder("a/b", 2), alone, "first.test.ts"];
  const groups = groupFiles(files, ["first.test.ts"]);

  it("hold every file once", () => {
    assert.deepEqual(groups.flat().toSorted(), files.toSorted());
  });

  it("are of one folder and even, what has to be first or alone is, and unit tests are last", () => {
    assert.deepEqual(
      groups.map(([file = "", ...others]) => [file, others.length + 1]),
      [
        ["first.test.ts", 1],
        [alone, 1],
        ["a/0.test.ts", 5],
        ["a/1.test.ts", 4],
        ["a/b/0.test.ts", 2],
        ["src/a/0.test.ts", 2],
      ],
    );
  });

  it("leave alone only files that there are", () => {
    for (const file of Object.keys(ALONE)) assert.ok(existsSync(file), file);
  });
});
