/**
 * Bearer tokens, held as SHA-256 hashes only. From `TURNABOUT_ADMIN_TOKEN` and from a JSON file that is read again
 * whenever it changes; what has left the file is revoked.
 */
import { hash, timingSafeEqual } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { MAX_TOKEN_FILE_BYTES, TOKEN_FILE_POLL_MS } from "../limits.ts";
import { poll } from "../reload/poll.ts";
import { createIdentity } from "./identity.ts";
import type { Identity, IdentityKind } from "./identity.ts";

/** One entry of the token file's `tokens` list. */
export interface TokenRecord {
  /** Name of the credential, for logs and listings. */
  id: string;
  kind: IdentityKind;
  /** SHA-256 of the token, in hex. */
  sha256: string;
  runners: string[];
  targets?: string[];
  /** User whose sessions a `user` token owns. Default: its id. */
  owner?: string;
  /** Group of runners for which an extension has issued it. */
  group?: string;
  /** Unix milliseconds after which it is as if revoked. Default: never. */
  expiresAtMs?: number;
}

export function hashToken(token: string): string {
  return hash("sha256", token, "hex");
}

/** Where tokens come from: each source replaces its own only. */
export type TokenSource = "options" | "file" | "issued";

interface Known {
  identity: Identity;
  expiresAtMs: number;
}

export class TokenStore {
  readonly #fixed: readonly Identity[];
  /** By hash. */
  readonly #sources = new Map<TokenSource, Map<string, TokenRecord>>();
  #byHash = new Map<string, Known>();
  /** Hashes that are refused although a source has them. */
  readonly #barred = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #expiryTimer: NodeJS.Timeout | undefined;

  constructor(adminToken: string | undefined, records: readonly TokenRecord[] = []) {
    this.#fixed =
      adminToken === undefined || adminToken === ""
        ? []
        : [createIdentity("admin", hashToken(adminToken), { kind: "admin", runners: ["*"] })];
    this.replace(records, "options");
  }

  /** Undefined for an unknown token. Only hashes are compared, so timing tells nothing of a token. */
  find(token: string): Identity | undefined {
    const sha256 = hashToken(token);
    const known = this.#byHash.get(sha256);
    if (known === undefined || known.expiresAtMs <= Date.now()) return undefined;
    return timingSafeEqual(Buffer.from(known.identity.fingerprint), Buffer.from(sha256))
      ? known.identity
      : undefined;
  }

  /** It is a token of ours, also where it has expired. */
  isKnown(token: string): boolean {
    return this.#byHash.has(hashToken(token));
  }

  /** The identity as it stands now: undefined if its token has been revoked or has expired. */
  current(identity: Identity): Identity | undefined {
    const known = this.#byHash.get(identity.fingerprint);
    return known === undefined || known.expiresAtMs <= Date.now() ? undefined : known.identity;
  }

  get size(): number {
    return this.#byHash.size;
  }

  /** A token that has expired leaves its name free. */
  has(id: string): boolean {
    const now = Date.now();
    for (const { identity, expiresAtMs } of this.#byHash.values()) {
      if (identity.id === id && expiresAtMs > now) return true;
    }
    return false;
  }

  /** Called after each change and each expiry, to close what a token had opened. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  replace(records: readonly TokenRecord[], source: TokenSource): void {
    this.#sources.set(source, new Map(records.map((record) => [record.sha256, record])));
    this.#index();
    this.#changed();
  }

  /** Of the options and of the token file, which only their owner can change. */
  configured(): TokenRecord[] {
    return (["options", "file"] as const).flatMap((source) => [
      ...(this.#sources.get(source)?.values() ?? []),
    ]);
  }

  /** These are as if revoked, also where a source has them or brings them again. */
  bar(hashes: readonly string[]): void {
    for (const sha256 of hashes) this.#barred.add(sha256);
    this.#index();
    this.#tell();
  }

  /** As {@link replace} with one more, without a look at all the others: each session brings one. */
  add(record: TokenRecord, source: TokenSource): void {
    const records = this.#sources.get(source) ?? new Map<string, TokenRecord>();
    this.#sources.set(source, records.set(record.sha256, record));
    this.#byHash.set(record.sha256, known(record));
    if (record.expiresAtMs !== undefined) this.#schedule();
  }

  /** As {@link replace} without this one. */
  remove({ sha256 }: TokenRecord, source: TokenSource): void {
    this.#sources.get(source)?.delete(sha256);
    const isElsewhere = [...this.#sources.values()].some((records) => records.has(sha256));
    if (isElsewhere) this.#index();
    else this.#byHash.delete(sha256);
    this.#tell();
  }

  close(): void {
    clearTimeout(this.#expiryTimer);
  }

  #index(): void {
    const all = [...this.#sources.values()]
      .flatMap((records) => [...records.values()])
      .filter(({ sha256 }) => !this.#barred.has(sha256))
      .map(known);
    const fixed = this.#fixed.map((identity): Known => ({ identity, expiresAtMs: Infinity }));
    this.#byHash = new Map([...all, ...fixed].map((entry) => [entry.identity.fingerprint, entry]));
  }

  #changed(): void {
    this.#tell();
    this.#schedule();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #schedule(): void {
    clearTimeout(this.#expiryTimer);
    const now = Date.now();
    let next = Infinity;
    for (const { expiresAtMs } of this.#byHash.values())
      if (expiresAtMs > now && expiresAtMs < next) next = expiresAtMs;
    if (next === Infinity) return;
    // A timer holds 24 days at the most; a later expiry is looked at again then.
    this.#expiryTimer = setTimeout(() => this.#changed(), Math.min(next - now + 1, 2 ** 31 - 1));
    this.#expiryTimer.unref();
  }
}

function known(record: TokenRecord): Known {
  return {
    expiresAtMs: record.expiresAtMs ?? Infinity,
    identity: createIdentity(record.id, record.sha256, {
      kind: record.kind,
      runners: record.runners,
      targets: record.targets,
      owner: record.owner,
    }),
  };
}

/** @throws TurnaboutError `config_invalid` saying which entry is wrong, never what its token is */
export function parseTokenFile(text: string): TokenRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("not valid JSON");
  }
  const tokens = (value as { tokens?: unknown } | null)?.tokens;
  if (!Array.isArray(tokens)) throw invalid('no "tokens" list');
  const ids = new Set<string>();
  return tokens.map((entry: unknown, index) => {
    const record = parseRecord(entry, index);
    if (ids.has(record.id)) throw invalid(`two entries have the id ${record.id}`);
    ids.add(record.id);
    return record;
  });
}

function parseRecord(value: unknown, index: number): TokenRecord {
  const at = `entry ${index}`;
  if (typeof value !== "object" || value === null) throw invalid(`${at}: not an object`);
  const { id, kind, token, sha256, runners = [], targets, owner } = value as Record<string, unknown>;
  if (typeof id !== "string" || id === "" || id === "admin")
    throw invalid(`${at}: needs an id other than "admin"`);
  if (kind !== "admin" && kind !== "user" && kind !== "runner") {
    throw invalid(`${at} (${id}): kind must be admin, user or runner`);
  }
  const hash = typeof token === "string" && token !== "" ? hashToken(token) : sha256;
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/i.test(hash)) {
    throw invalid(`${at} (${id}): needs "sha256" (64 hex digits) or "token"`);
  }
  if (!isTextList(runners)) throw invalid(`${at} (${id}): "runners" must be a list of patterns`);
  if (targets !== undefined && !isTextList(targets))
    throw invalid(`${at} (${id}): "targets" must be a list of patterns`);
  if (owner !== undefined && (typeof owner !== "string" || owner === "")) {
    throw invalid(`${at} (${id}): "owner" must be a name`);
  }
  return {
    id,
    kind,
    sha256: hash.toLowerCase(),
    runners,
    ...(targets !== undefined && { targets }),
    ...(owner !== undefined && { owner }),
  };
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function invalid(what: string): TurnaboutError {
  return new TurnaboutError("config_invalid", `token file: ${what}`);
}

/**
 * Loads the file into the store and follows its changes. A file that has become unreadable or wrong is reported and
 * the last good state stays.
 *
 * @returns stops following
 * @throws TurnaboutError `config_invalid` if the first load fails
 */
export async function followTokenFile(path: string, store: TokenStore, log: Logger): Promise<() => void> {
  let seen = "";
  async function load(): Promise<void> {
    const { size } = await stat(path);
    if (size > MAX_TOKEN_FILE_BYTES) throw invalid(`larger than ${MAX_TOKEN_FILE_BYTES} bytes`);
    const text = await readFile(path, "utf8");
    if (text === seen) return;
    const first = seen === "";
    seen = text; // also if it is wrong: complain once
    store.replace(parseTokenFile(text), "file");
    log.info({ path, tokens: store.size }, first ? "tokens loaded" : "tokens loaded again");
  }
  try {
    await load();
  } catch (cause) {
    if (cause instanceof TurnaboutError) throw cause;
    throw new TurnaboutError("config_invalid", `token file ${path}: ${(cause as Error).message}`, { cause });
  }
  return poll(load, TOKEN_FILE_POLL_MS, (error) => {
    log.error({ path, reason: error.message }, "token file not usable; keeping the last state");
  });
}
