import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { describe, it } from "node:test";

/** `x.name = (…) => …` and `x.name = function …`. */
const ASSIGNED = /\.[#\w]+ = (?:async )?(?:function\b|(?:\([^()]*\)|\w+)(?:: [^=]+)? =>)/;

describe("functions", () => {
  // V8 makes a function that is written as the value of such an assignment in the old generation: with all that it refers
  // to, it stays until the next full collection (docs/traps.md).
  it("are named before they are assigned to a property", async () => {
    const found: string[] = [];
    for await (const file of glob("src/**/*.ts")) {
      if (file.endsWith(".test.ts")) continue;
      for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
        if (ASSIGNED.test(line) && !/^\s*(?:const|let) /.test(line)) found.push(`${file}:${index + 1}`);
      }
    }
    assert.deepEqual(found, []);
  });
});
