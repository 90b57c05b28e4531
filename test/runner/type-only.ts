/** Source files that hold only types: nothing in them runs, so coverage has nothing to count. */
import { stripTypeScriptTypes } from "node:module";

/** Exact as far as the first code, and what follows that does not matter. */
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*/g;
const EMPTY_EXPORT = /export\s*\{\s*\}/g;

/** Whether no code is left of the file without its types. Imports that stay, and exports of values, are code. */
export function isTypeOnly(source: string): boolean {
  const code = stripTypeScriptTypes(source).replace(COMMENT, "").replace(EMPTY_EXPORT, "");
  return /^[\s;]*$/.test(code);
}
