/** JSON that is written again after it was read: numbers keep the digits of their source. */

/** TypeScript's own types do not know these yet (ECMAScript's JSON.parse source text access). */
interface ExactJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}
const exact: ExactJson = JSON as unknown as ExactJson;

/**
 * For `JSON.stringify`.
 *
 * @param visit called with each member
 * @throws SyntaxError
 */
export function parseExactly(text: string, visit: (key: string, value: unknown) => void = () => {}): unknown {
  return exact.parse(text, (key, value, { source }) => {
    visit(key, value);
    return typeof value === "number" && source !== undefined ? exact.rawJSON(source) : value;
  });
}

/** What JSON calls an object: no array, and no number that stands as its source text. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !exact.isRawJSON(value);
}
