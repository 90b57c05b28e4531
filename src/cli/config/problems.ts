/** What is wrong in a configuration file, in an operator's words, with the place in the file. */
import type { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import { inPlaceOfFile } from "../../wire/fields/secret-text.ts";
import { MAX_REPORTED_PROBLEMS } from "./limits.ts";
import { nearest } from "./nearest.ts";
import { CONFIG_VERSION } from "./schema.ts";
import { hintForUnknownKey, meantHint } from "./unknown-key.ts";

export interface Problem {
  message: string;
  hint: string;
  /** In the parsed file; for a wrong key the key is its last part. */
  path: readonly PropertyKey[];
  /** The place is the key's, not its value's. */
  isKey?: boolean;
  /** The key that is not there. Its holder is the path. */
  missing?: string;
}

const REFERENCE_HINT = "docs/configuration.md has every key";

/** Keys with which a secret itself would be in the file, and what to give instead. */
const SECRET_KEYS: Readonly<Record<string, string>> = {
  token: "tokenFile: FILE",
  bearertoken: "tokenFile: FILE",
  password: "tokenFile: FILE",
  secret: "tokenFile: FILE",
  tokens: "tokenFile: FILE (`turnabout token --add FILE` writes it)",
  admintoken: "an entry of kind admin in the file of tokenFile, or TURNABOUT_ADMIN_TOKEN",
  moonlightcredentials: "moonlightCredentialsFile: FILE",
};

/** A value of a key that takes a file's name, which is a secret or a certificate itself. */
export function isSecretText(text: string): boolean {
  return /^ta_[\w-]{20,}$/.test(text.trim()) || inPlaceOfFile(text) !== undefined;
}

/** A key that is missing because it is misspelled is one problem. */
export function problemsOf(error: z.ZodError, root: unknown): Problem[] {
  const problems = error.issues.flatMap((issue) => problemsOfIssue(issue, root));
  return problems.filter(({ path, missing }) => {
    if (missing === undefined) return true;
    const isMeant = ({ hint, isKey, path: other }: Problem): boolean =>
      isKey === true && hint === meantHint(missing) && other.slice(0, -1).join("\0") === path.join("\0");
    return !problems.some(isMeant);
  });
}

function problemsOfIssue(issue: z.core.$ZodIssue, root: unknown): Problem[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => unknownKey(path, key, valueAt(root, [...path, key])));
  const value = valueAt(root, path);
  const subject = subjectOf(path);
  if (path.length === 1 && path[0] === "version") {
    if (value === undefined)
      return [
        {
          path: [],
          missing: "version",
          message: "no version",
          hint: `begin the file with: version: ${CONFIG_VERSION}`,
        },
      ];
    const message = `version ${shown(value)}: unknown`;
    return [{ path, message, hint: `this turnabout reads version ${CONFIG_VERSION}` }];
  }
  if (issue.code === "invalid_type") return [wrongType(path, subject, value, issue.expected)];
  if (issue.code === "invalid_value") {
    const choices = issue.values.map(String);
    const near = typeof value === "string" ? nearest(value, choices) : undefined;
    const quoted = typeof value === "number" || typeof value === "boolean";
    const hint = quoted
      ? `write it in quotes; use one of ${choices.join(", ")}`
      : `${near === undefined ? "" : `did you mean ${near}? `}use one of ${choices.join(", ")}`;
    return [{ path, message: `${subject}: ${shown(value)}: unknown value`, hint }];
  }
  if (issue.code === "too_small" || issue.code === "too_big") {
    if (typeof value === "string") return [{ path, message: `${subject}: empty`, hint: "give a value" }];
    const bound = issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
    return [{ path, message: `${subject}: ${shown(value)}: out of range`, hint: `use ${bound}` }];
  }
  const { hint } = (issue.code === "custom" ? (issue.params ?? {}) : {}) as { hint?: string };
  return [{ path, message: issue.message, hint: hint ?? "correct this value" }];
}

function unknownKey(path: readonly PropertyKey[], key: string, value: unknown): Problem {
  const place = { path: [...path, key], isKey: true };
  const plain = key.toLowerCase().replace(/[^a-z]/g, "");
  const secret = Object.hasOwn(SECRET_KEYS, plain) ? SECRET_KEYS[plain] : undefined;
  if (secret !== undefined) {
    const message = `${JSON.stringify(key)}: a secret does not belong in this file`;
    return { ...place, message, hint: `use ${secret}` };
  }
  const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
  return {
    ...place,
    message: `unknown key ${JSON.stringify(key)}`,
    hint: hintForUnknownKey(path, key, isGroup),
  };
}

const NOUNS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a group of keys",
};

function wrongType(path: readonly PropertyKey[], subject: string, value: unknown, expected: string): Problem {
  const noun = NOUNS[expected] ?? expected;
  if (value === undefined) {
    const missing = String(path.at(-1));
    return { path: path.slice(0, -1), missing, message: `${subject}: missing`, hint: `give ${noun}` };
  }
  const message = `${subject}: ${shown(value)} is not ${noun}`;
  return { path, message, hint: typeHint(expected, value) };
}

function typeHint(expected: string, value: unknown): string {
  if (expected === "string" && (typeof value === "number" || typeof value === "boolean"))
    return "write it in quotes";
  if (expected === "array") return "write it as a list: one line for each, beginning with `- `";
  if (expected === "number" || expected === "int") {
    return typeof value === "string" && /^[\d.]+ ?[a-z]+$/i.test(value)
      ? "a number alone; times are in seconds"
      : "a number, without quotes";
  }
  return REFERENCE_HINT;
}

/** Text that is not a secret: those have keys of their own, whose values are not printed. */
function shown(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a group of keys";
  const text = JSON.stringify(value);
  return text.length > 80 || (typeof value === "string" && isSecretText(value)) ? "the value" : text;
}

/** `agent.targets[0].http`, without the section. */
function subjectOf(path: readonly PropertyKey[]): string {
  const [first, ...rest] = path;
  const parts = rest.length === 0 ? [first] : rest;
  return parts.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}

export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** Each with its place and its own hint; the last hint is the error's, which the command prints. */
export function configError(
  problems: readonly Problem[],
  placeOf: (problem: Problem) => string,
): TurnaboutError {
  const lines = problems.slice(0, MAX_REPORTED_PROBLEMS).map((problem) => ({
    message: `${placeOf(problem)}: ${problem.message}`,
    hint: problem.hint,
  }));
  const left = problems.length - lines.length;
  const text = lines
    .map(({ message, hint }, i) => (i === lines.length - 1 ? message : `${message}\nhint: ${hint}`))
    .join("\nerror: ");
  const hint = `${lines.at(-1)?.hint ?? REFERENCE_HINT}${left > 0 ? `; and ${left} more` : ""}`;
  return new TurnaboutError("config_invalid", text, { hint });
}
