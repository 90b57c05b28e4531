/** docs/failures.md names every known failure, and only tests that exist. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { readDocument, tableRows } from "./markdown.ts";

const rows = tableRows(readDocument("docs/failures.md")).filter(([id = ""]) => /^([A-F]\d*|\d+)$/.test(id));

function span(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
}

describe("docs/failures.md", () => {
  it("has a row for every failure", () => {
    const wanted = [
      ...[span("A", 15), span("B", 16), span("C", 15), span("D", 16), span("E", 10)].flat(),
      "F",
      ...span("", 11),
    ];
    assert.deepEqual(
      rows.map(([id]) => id),
      wanted,
    );
  });

  it("names tests that exist", () => {
    for (const [id, , , test = ""] of rows) {
      const names = [...test.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
      assert.ok(names.length > 0 || test === "—", `${id}: no test and no dash`);
      for (const name of names) {
        const path = /^(?:src|test)\//.test(name) ? name : `test/system/${name}`;
        const file = path.endsWith(".ts") ? path : `${path}.test.ts`;
        assert.ok(existsSync(new URL(`../../${file}`, import.meta.url)), `${id}: ${file}`);
      }
    }
  });
});

describe("docs/revdial.md", () => {
  const bridged = tableRows(readDocument("docs/revdial.md")).filter((row) => row.length === 4);

  it("names failures that docs/failures.md has, and tests that exist", () => {
    const known = new Set(rows.map(([id]) => id));
    const named = bridged.filter(([id = ""]) => /^[A-F]\d*/.test(id));
    assert.ok(named.length > 15);
    for (const [ids = "", , , test = ""] of named) {
      for (const [id] of ids.matchAll(/\b(?:[A-E]\d+|F)\b/g)) assert.ok(known.has(id), id);
      const names = [...test.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
      assert.ok(names.length > 0 || test === "–", `${ids}: no test and no dash`);
      for (const name of names) {
        const path = name.startsWith("src/") ? name : `test/system/bridge/${name}`;
        assert.ok(existsSync(new URL(`../../${path}.test.ts`, import.meta.url)), `${ids}: ${path}`);
      }
    }
  });
});
