/** The control plane's token file: JSON with a `tokens` list, checked as a whole and followed for changes. */
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { canMatchRunner, canMatchTarget } from "../auth/identity.ts";
import { hashToken } from "../auth/tokens.ts";
import type { TokenRecord, TokenStore } from "../auth/tokens.ts";
import { MAX_TOKEN_FILE_BYTES, REPORTED_ENTRIES, TOKEN_FILE_POLL_MS } from "../limits.ts";
import { FILE_NAME_HINT, inPlaceOfFile } from "../../wire/fields/secret-text.ts";
import { poll } from "../../wire/poll.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";

const FORMAT_HINT = "correct the file: `turnabout token` prints entries, docs/operations.md has the format";

const TOKEN_HINT =
  "that file is the agent's: `turnabout token … --add FILE` writes the control plane's file, or give it the printed second line in {\"tokens\": [ ]}";

function patterns(name: string): z.ZodArray<z.ZodString> {
  const message = `"${name}" must be a list of patterns`;
  return z.array(z.string(message), message);
}

const fileSchema = z.object({ tokens: z.array(z.unknown()) });

const ID_NEEDED = 'needs an id other than "admin"';
const OWNER_NEEDED = '"owner" must be a name';
const namedSchema = z.object(
  { id: z.string(ID_NEEDED).refine((id) => id !== "" && id !== "admin", ID_NEEDED) },
  "not an object",
);
const entrySchema = namedSchema
  .extend({
    kind: z.enum(["admin", "user", "runner"], "kind must be admin, user or runner"),
    token: z.unknown().optional(),
    sha256: z.unknown().optional(),
    runners: patterns("runners").default([]),
    targets: patterns("targets").exactOptional(),
    owner: z.string(OWNER_NEEDED).min(1, OWNER_NEEDED).exactOptional(),
  })
  .transform(({ token, sha256, ...entry }, context): TokenRecord => {
    const hash = typeof token === "string" && token !== "" ? hashToken(token) : sha256;
    if (typeof hash === "string" && /^[0-9a-f]{64}$/i.test(hash))
      return { ...entry, sha256: hash.toLowerCase() };
    context.addIssue('needs "sha256" (64 hex digits) or "token"');
    return z.NEVER;
  });

/** @throws TurnaboutError `config_invalid` that names the wrong entry, but never its token */
export function parseTokenFile(text: string): TokenRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (/^\s*ta_/.test(text))
      throw new InvalidTokenFile("a token, and not the JSON file of hashes", TOKEN_HINT);
    throw invalid(`not valid JSON${placeOf(error)}`);
  }
  const file = fileSchema.safeParse(value);
  if (!file.success) throw invalid('no "tokens" list');
  const ids = new Set<string>();
  return file.data.tokens.map((entry, index) => {
    const record = parseEntry(entry, index);
    if (ids.has(record.id)) throw invalid(`two entries have the id ${record.id}`);
    ids.add(record.id);
    return record;
  });
}

function parseEntry(value: unknown, index: number): TokenRecord {
  const entry = entrySchema.safeParse(value);
  if (entry.success) return entry.data;
  const named = namedSchema.safeParse(value);
  const id = named.success ? ` (${named.data.id})` : "";
  throw invalid(`entry ${index}${id}: ${entry.error.issues[0]?.message}`);
}

/** Of a syntax error; its message may quote a token. */
function placeOf(error: unknown): string {
  const [, line, column] = /\(line (\d+) column (\d+)\)/.exec(toError(error).message) ?? [];
  if (line !== undefined) return ` at line ${line}, column ${column}`;
  return toError(error).message.includes("end of JSON input") ? ": it ends too early" : "";
}

/** What is wrong with the text. */
class InvalidTokenFile extends TurnaboutError {
  readonly what: string;

  constructor(what: string, hint: string = FORMAT_HINT) {
    super("config_invalid", `token file: ${what}`, { hint });
    this.what = what;
  }
}

function invalid(what: string): InvalidTokenFile {
  return new InvalidTokenFile(what);
}

/** @throws TurnaboutError `config_invalid` if the file cannot be used */
export async function readTokenFile(path: string): Promise<TokenRecord[]> {
  let records: TokenRecord[] = [];
  await named(path, async () => {
    records = parseTokenFile(await read(path));
  });
  return records;
}

/** Patterns of an entry that no runner and no target can have: misspelled, as a rule. */
function uselessPatterns({ runners, targets = [] }: TokenRecord): string[] {
  return [
    ...runners.filter((pattern) => !canMatchRunner(pattern)),
    ...targets.filter((pattern) => !canMatchTarget(pattern)),
  ];
}

/** Whether a request with its token could ever succeed. A user may own sessions without any pattern. */
export function isUsable({ kind, runners }: TokenRecord): boolean {
  return kind !== "runner" || runners.some(canMatchRunner);
}

function warnOfPatterns(path: string, records: readonly TokenRecord[], log: Logger): void {
  const entries = records
    .map((record) => ({ id: record.id, patterns: uselessPatterns(record) }))
    .filter(({ patterns }) => patterns.length > 0);
  if (entries.length === 0) return;
  log.warn(
    {
      path,
      entries: entries.slice(0, REPORTED_ENTRIES),
      hint: "ids and names have a-z, 0-9, _ and -; * matches any of them",
    },
    "token file: patterns that match nothing",
  );
}

async function read(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > MAX_TOKEN_FILE_BYTES) throw invalid(`larger than ${MAX_TOKEN_FILE_BYTES} bytes`);
  return readFile(path, "utf8");
}

async function named(path: string, work: () => Promise<void>): Promise<void> {
  const misplaced = inPlaceOfFile(path);
  if (misplaced !== undefined)
    throw new TurnaboutError("config_invalid", `token file: ${misplaced}`, { hint: FILE_NAME_HINT });
  try {
    await work();
  } catch (cause) {
    const isInvalid = cause instanceof InvalidTokenFile;
    const what = isInvalid ? cause.what : toError(cause).message;
    const hint = isInvalid ? cause.hint : systemErrorHint(cause, "file");
    throw new TurnaboutError("config_invalid", `token file ${path}: ${what}`, {
      cause,
      ...(hint !== undefined && { hint }),
    });
  }
}

/**
 * Loads the file into the store and follows its changes. If it becomes unreadable or invalid, that is logged once and the
 * last valid tokens stay in force.
 *
 * @returns stops following
 * @throws TurnaboutError `config_invalid` if the first load fails
 */
export async function followTokenFile(path: string, store: TokenStore, log: Logger): Promise<() => void> {
  let seen = "";
  async function load(): Promise<void> {
    const text = await read(path);
    if (text === seen) return;
    const isFirst = seen === "";
    seen = text; // before it is parsed: an invalid text is reported once
    const records = parseTokenFile(text);
    store.replace(records, "file");
    log.info({ path, tokens: store.size }, isFirst ? "token file loaded" : "token file reloaded");
    warnOfPatterns(path, records, log);
  }
  await named(path, load);
  return poll(load, {
    intervalMs: TOKEN_FILE_POLL_MS,
    onError: ({ message }) =>
      log.error({ path, reason: message }, "token file not usable; the last valid tokens stay in force"),
  });
}
