import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isTypeOnly } from "./type-only.ts";

const TYPES = `/** What a stream is. */
import type { Duplex } from "node:stream";

export interface Row {
  /** Its name. */
  name: string; // never empty
}
export type Open = (row: Row) => Promise<Duplex>;
`;

describe("a file of types only", () => {
  it("is one with interfaces, types, comments and an empty export", () => {
    assert.ok(isTypeOnly(TYPES));
    assert.ok(isTypeOnly(`${TYPES}export {};\n`));
    assert.ok(isTypeOnly(`${TYPES}export type { Duplex };\n`));
  });

  const statements = [
    'export const NAME = "a";',
    "export function noop(): void {}",
    'export * from "./other.ts";',
    'export { other } from "./other.ts";',
    'import "./other.ts";',
    "export class Row2 {}",
    "'// not a comment';",
    "{}",
  ];
  for (const statement of statements) {
    it(`is none with ${statement}`, () => {
      assert.ok(!isTypeOnly(`${TYPES}${statement}\n/** The end. */\n`));
      assert.ok(!isTypeOnly(`${statement}\n${TYPES}`));
    });
  }
});
