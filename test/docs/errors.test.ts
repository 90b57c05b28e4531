/** docs/errors.md says of each code what the tables say. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HELIX_ERROR_TABLE } from "../../src/helix/errors.ts";
import { ERROR_TABLE } from "../../src/wire/error-table.ts";
import { readDocument, sections } from "./markdown.ts";

const TABLE = { ...ERROR_TABLE, ...HELIX_ERROR_TABLE };
const documented = sections(readDocument("docs/errors.md"), 2);
documented.delete("Errors of use"); // test/system/cli/errors-of-use.test.ts makes each of its table

describe("docs/errors.md", () => {
  it("has a heading for every code", () => {
    const missing = Object.keys(TABLE).filter((code) => !documented.has(code));
    assert.deepEqual(missing, []);
  });

  it("has no heading without a code", () => {
    const extra = [...documented.keys()].filter((code) => !Object.hasOwn(TABLE, code));
    assert.deepEqual(extra, []);
  });

  it("agrees with the table on status, Proxy-Status and Retry-After", () => {
    for (const [code, { status, proxyError, retryAfterS }] of Object.entries(TABLE)) {
      const retry = retryAfterS === undefined ? "" : `, \`Retry-After: ${retryAfterS}\``;
      const [first] = (documented.get(code) ?? "").trim().split("\n", 1);
      assert.equal(first, `Status ${status}, \`error=${proxyError}\`${retry}.`, code);
    }
  });

  it("has for each code when it occurs and what to do", () => {
    for (const [code, text] of documented) {
      assert.match(text, /\*\*When\.\*\* /, code);
      assert.match(text, /\*\*What to do\.\*\* /, code);
    }
  });
});
