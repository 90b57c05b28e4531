/** Bearer tokens, held as SHA-256 hashes only: the admin token, and those of the options, the token file and the API. */
import { hash, timingSafeEqual } from "node:crypto";
import { Guard } from "../../wire/streams/guard.ts";
import { MAX_FORMER_TOKENS } from "../limits.ts";
import { createIdentity } from "./identity.ts";
import type { Identity, IdentityKind } from "./identity.ts";
import { RefusedCredentials } from "./refused-credentials.ts";

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

/** Why a token is not valid. */
export type TokenRefusal = "expired" | "revoked" | "unknown";

/** Maximum delay of setTimeout(): 24.8 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

interface Known {
  identity: Identity;
  expiresAtMs: number;
  usedAtMs: number | undefined;
}

export class TokenStore {
  /** Counts what was refused, for the metrics. */
  readonly refused: RefusedCredentials = new RefusedCredentials();
  readonly #fixed: readonly Identity[];
  /** By hash. */
  readonly #sources = new Map<TokenSource, Map<string, TokenRecord>>();
  #byHash = new Map<string, Known>();
  /** Hashes that are refused although a source has them. */
  readonly #revoked = new Set<string>();
  /** Hashes that a source had, the latest last: so that whoever uses one gets to know that it was revoked. */
  readonly #former = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #guard: Guard;
  #expiryTimer: NodeJS.Timeout | undefined;

  /** @param onFailure called with what a listener has thrown; other listeners and the change are not affected */
  constructor(
    adminToken: string | undefined,
    records: readonly TokenRecord[] = [],
    onFailure: (error: Error) => void = () => {},
  ) {
    this.#guard = new Guard(onFailure);
    this.#fixed =
      adminToken === undefined || adminToken === ""
        ? []
        : [createIdentity("admin", hashToken(adminToken), { kind: "admin", runners: ["*"] })];
    this.replace(records, "options");
  }

  /** Undefined for an unknown token. Only hashes are compared, so timing reveals nothing about a token. */
  find(token: string): Identity | undefined {
    const sha256 = hashToken(token);
    const known = this.#byHash.get(sha256);
    const now = Date.now();
    if (known === undefined || known.expiresAtMs <= now) return undefined;
    known.usedAtMs = now;
    return timingSafeEqual(Buffer.from(known.identity.fingerprint), Buffer.from(sha256))
      ? known.identity
      : undefined;
  }

  /** Why {@link find} has no identity for it. */
  refusalOf(token: string): TokenRefusal {
    const sha256 = hashToken(token);
    if (this.#byHash.has(sha256)) return "expired";
    return this.#revoked.has(sha256) || this.#former.has(sha256) ? "revoked" : "unknown";
  }

  /** Also true for a token that has expired. */
  isKnown(token: string): boolean {
    return this.#byHash.has(hashToken(token));
  }

  /** The identity with its current grant; undefined if its token has been revoked or has expired. */
  current(identity: Identity): Identity | undefined {
    const known = this.#byHash.get(identity.fingerprint);
    return known === undefined || known.expiresAtMs <= Date.now() ? undefined : known.identity;
  }

  /** It was presented, by what stands for it. */
  used({ fingerprint }: Identity): void {
    const known = this.#byHash.get(fingerprint);
    if (known !== undefined) known.usedAtMs = Date.now();
  }

  /** Unix milliseconds; undefined for one that was not used since this process started. */
  lastUseOf({ sha256 }: Pick<TokenRecord, "sha256">): number | undefined {
    return this.#byHash.get(sha256)?.usedAtMs;
  }

  /** This store has had the token, and has it no more: also of an identity that another node has authenticated. */
  hasRevoked({ fingerprint }: Pick<Identity, "fingerprint">): boolean {
    const known = this.#byHash.get(fingerprint);
    if (known !== undefined) return known.expiresAtMs <= Date.now();
    return this.#revoked.has(fingerprint) || this.#former.has(fingerprint);
  }

  /** Unix milliseconds; undefined for one that does not expire. */
  expiryOf(identity: Identity): number | undefined {
    const expiresAtMs = this.#byHash.get(identity.fingerprint)?.expiresAtMs ?? Infinity;
    return Number.isFinite(expiresAtMs) ? expiresAtMs : undefined;
  }

  get size(): number {
    return this.#byHash.size;
  }

  /** The id is in use: by a token that has not expired. */
  has(id: string): boolean {
    const now = Date.now();
    for (const { identity, expiresAtMs } of this.#byHash.values()) {
      if (identity.id === id && expiresAtMs > now) return true;
    }
    return false;
  }

  /** Users who can come in: those of valid `user` tokens, and valid `admin` tokens by their ids. */
  owners(): Set<string> {
    const now = Date.now();
    const owners = new Set<string>();
    for (const { identity, expiresAtMs } of this.#byHash.values()) {
      const owner = identity.kind === "admin" ? identity.id : identity.owner;
      if (owner !== undefined && expiresAtMs > now) owners.add(owner);
    }
    return owners;
  }

  /** @param listener called after each change and each expiry, to close what a token had opened */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Replaces all tokens of one source; those that are no longer among them are revoked. */
  replace(records: readonly TokenRecord[], source: TokenSource): void {
    const before = this.#sources.get(source)?.keys() ?? [];
    const after = new Map(records.map((record) => [record.sha256, record]));
    this.#sources.set(source, after);
    for (const sha256 of before) if (!after.has(sha256)) this.#remember(sha256);
    this.#index();
    this.#changed();
  }

  /** Tokens of the options and of the token file, which only the operator can change. */
  configured(): TokenRecord[] {
    return (["options", "file"] as const).flatMap((source) => [
      ...(this.#sources.get(source)?.values() ?? []),
    ]);
  }

  /** Revokes these hashes permanently, also where a source still has them or adds them again. */
  revoke(hashes: readonly string[]): void {
    for (const sha256 of hashes) this.#revoked.add(sha256);
    this.#index();
    this.#notify();
  }

  /** As {@link replace} with one more, but in constant time: tokens are issued often. */
  add(record: TokenRecord, source: TokenSource): void {
    const records = this.#sources.get(source) ?? new Map<string, TokenRecord>();
    this.#sources.set(source, records.set(record.sha256, record));
    this.#byHash.set(record.sha256, known(record));
    if (record.expiresAtMs !== undefined) this.#schedule();
  }

  /** As {@link replace} without this one. */
  remove({ sha256 }: TokenRecord, source: TokenSource): void {
    this.#sources.get(source)?.delete(sha256);
    this.#remember(sha256);
    const isElsewhere = [...this.#sources.values()].some((records) => records.has(sha256));
    if (isElsewhere) this.#index();
    else this.#byHash.delete(sha256);
    this.#notify();
  }

  close(): void {
    clearTimeout(this.#expiryTimer);
  }

  #remember(sha256: string): void {
    this.#former.delete(sha256);
    this.#former.add(sha256);
    const [oldest = sha256] = this.#former;
    if (this.#former.size > MAX_FORMER_TOKENS) this.#former.delete(oldest);
  }

  #index(): void {
    const all = [...this.#sources.values()]
      .flatMap((records) => [...records.values()])
      .filter(({ sha256 }) => !this.#revoked.has(sha256))
      .map(known);
    const fixed = this.#fixed.map((identity): Known => ({
      identity,
      expiresAtMs: Infinity,
      usedAtMs: undefined,
    }));
    const before = this.#byHash;
    this.#byHash = new Map([...all, ...fixed].map((entry) => [entry.identity.fingerprint, entry]));
    for (const [sha256, { usedAtMs }] of before) {
      const entry = this.#byHash.get(sha256);
      if (entry !== undefined) entry.usedAtMs = usedAtMs;
    }
  }

  #changed(): void {
    this.#notify();
    this.#schedule();
  }

  #notify(): void {
    for (const listener of this.#listeners) this.#guard.run(listener);
  }

  #schedule(): void {
    clearTimeout(this.#expiryTimer);
    const now = Date.now();
    let next = Infinity;
    for (const { expiresAtMs } of this.#byHash.values())
      if (expiresAtMs > now && expiresAtMs < next) next = expiresAtMs;
    if (next === Infinity) return;
    // A later expiry is looked at again when the timer has run for its maximum.
    this.#expiryTimer = setTimeout(() => this.#changed(), Math.min(next - now + 1, MAX_TIMEOUT_MS));
    this.#expiryTimer.unref();
  }
}

function known(record: TokenRecord): Known {
  return {
    expiresAtMs: record.expiresAtMs ?? Infinity,
    usedAtMs: undefined,
    identity: createIdentity(record.id, record.sha256, {
      kind: record.kind,
      runners: record.runners,
      targets: record.targets,
      owner: record.owner,
    }),
  };
}
