/**
 * Removes secrets from what leaves a process for a diagnosis. Nothing that is collected has a secret on purpose: this finds those
 * in the texts of others, such as an error of a library or an address with a login.
 */

const MARK = "[redacted]";
const MAX_DEPTH = 32;

/** Members whose values are secrets. Those that name a file or a folder are not. */
const SECRET_MEMBER =
  /token|secret|passw|passphrase|pwd|api[-_]?key|private[-_]?key|cookie|authorization|credentials|^key$/i;
const PLACE = /(?:file|path|directory)$/i;

const NAME =
  "(?:token|secret|passw(?:or)?d|passphrase|pwd|api[-_]?key|private[-_]?key|cookie|authorization|credentials)";

const RULES: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]+-----[^]*?(?:-----END [A-Z0-9 ]+-----|$)/g, MARK],
  // user:password@ in a URL
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'\\<>]*@/gi, `$1${MARK}@`],
  // the values of a query
  [/([?&][^\s=&#"'<>\\]{1,256})=[^\s&#"'<>\\]*/g, `$1=${MARK}`],
  [/\b(Bearer|Basic|Digest|Negotiate|NTLM)\s+[\w+/=.~-]+/gi, `$1 ${MARK}`],
  // all of such a field, which may have several parts
  [/\b((?:set-)?cookie|(?:proxy-)?authorization)(\s*[:=]\s*)[^\n"\\]+/gi, `$1$2${MARK}`],
  // a member in JSON, also where that is a text in JSON
  [new RegExp(`(${NAME}[\\w-]*"\\s*:\\s*)"(?:[^"\\\\\\n]|\\\\.)*"`, "gi"), `$1"${MARK}"`],
  [new RegExp(`(${NAME}[\\w-]*\\\\+["']\\s*:\\s*\\\\+["'])[^"'\\\\]*`, "gi"), `$1${MARK}`],
  [new RegExp(`(${NAME}[\\w-]*\\s*[:=]\\s*["']?)(?!\\[redacted)[^\\s"'\\\\,;{}[\\]&]+`, "gi"), `$1${MARK}`],
  // our own tokens, those of JWT, and hashes
  [/\bta_[\w-]{8,}/g, MARK],
  [/\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*/g, MARK],
  [/\b[0-9a-f]{40,}\b/gi, MARK],
];

/** @param secrets values that must not be in it, whatever surrounds them */
export function scrubText(text: string, secrets: readonly string[] = []): string {
  let scrubbed = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]))
      scrubbed = scrubbed.replaceAll(form, MARK);
  }
  for (const [pattern, replacement] of RULES) scrubbed = scrubbed.replace(pattern, replacement);
  return scrubbed;
}

/** The same of a JSON value, by the names of its members too. */
export function scrubJson(value: unknown, secrets: readonly string[] = [], depth = 0): unknown {
  if (typeof value === "string") return scrubText(value, secrets);
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) return MARK;
  if (Array.isArray(value)) return value.map((item: unknown) => scrubJson(item, secrets, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, unknown]) => {
      const isSecret = SECRET_MEMBER.test(name) && !PLACE.test(name);
      const isText = typeof member === "string";
      return [scrubText(name, secrets), isSecret && isText ? MARK : scrubJson(member, secrets, depth + 1)];
    }),
  );
}
