/** JSON whose 64-bit ids survive. */

/** TypeScript's own types do not know the third argument yet (ECMAScript's JSON.parse source text access). */
type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;

/**
 * `JSON.parse`, but an integer that a number cannot hold (from 2^53 on) becomes its digits, as a string.
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
