/** JSON parsing that keeps 64-bit ids exact. */

/** TypeScript's types lack the third argument (ECMAScript's JSON.parse source text access). */
type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;

/**
 * `JSON.parse`, but an integer that a number cannot represent exactly (from 2^53 on) becomes a string of its digits.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  return (JSON.parse as ParseWithSource)(text, keepDigits);
}

function keepDigits(_key: string, value: unknown, { source }: { source?: string }): unknown {
  if (typeof value !== "number" || source === undefined || Number.isSafeInteger(value)) return value;
  return /^-?\d+$/.test(source) ? source : value;
}
