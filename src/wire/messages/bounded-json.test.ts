import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseBoundedJson } from "./bounded-json.ts";

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

describe("JSON of a peer", () => {
  it("is parsed as JSON is", () => {
    const value = { text: '[{"\\', list: [1, [2]], wide: Array.from({ length: 1_000 }, () => [{}]) };
    assert.deepEqual(parseBoundedJson(JSON.stringify(value)), value);
    for (const text of ["", "{", "[1", "nonsense", '"\\'])
      assert.throws(() => parseBoundedJson(text), SyntaxError);
  });

  it("is refused if it is nested too deeply, whole or not", () => {
    assert.doesNotThrow(() => parseBoundedJson(nested(64)));
    for (const text of [
      nested(65),
      "[".repeat(1_000_000),
      '{"a":'.repeat(100),
      `["${"[".repeat(99)}",${nested(99)}]`,
    ]) {
      assert.throws(() => parseBoundedJson(text), /nested too deeply/);
    }
    assert.doesNotThrow(() => parseBoundedJson(JSON.stringify("[".repeat(1_000))));
  });
});
