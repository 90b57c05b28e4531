/** Issues and revokes tokens. A secret is returned once, in the response that issues it; only its hash is kept. */
import { randomBytes } from "node:crypto";
import { TurnaboutError } from "../../wire/errors.ts";
import type { IdentityKind } from "./identity.ts";
import { hashToken } from "./tokens.ts";
import type { TokenRecord, TokenStore } from "./tokens.ts";

/** All are read when the control plane starts, and searched when a configured token is revoked. */
const MAX_ISSUED_TOKENS = 100_000;

export interface StoredToken extends TokenRecord {
  createdAtMs: number;
}

/** Where issued tokens are kept. */
export interface IssuedTokens {
  insert(token: StoredToken): void;
  /** False if there was none. */
  remove(id: string): boolean;
  list(): StoredToken[];
  /** Refuses this hash permanently, also where the token file or the options still have it. */
  revoke(sha256: string): void;
  /** Hashes that were revoked although the token file or the options had them. */
  revoked(): string[];
}

export interface TokenRequest {
  id: string;
  kind: IdentityKind;
  owner?: string | undefined;
  runners: string[];
  targets?: string[] | undefined;
  expiresAtMs?: number | undefined;
  /** Group of runners for which it is issued. */
  group?: string | undefined;
}

export class TokenIssuer {
  readonly #store: IssuedTokens;
  readonly #tokens: TokenStore;
  readonly #issued: Map<string, StoredToken>;

  constructor(store: IssuedTokens, tokens: TokenStore) {
    this.#store = store;
    this.#tokens = tokens;
    this.#issued = new Map(store.list().map((token) => [token.id, token]));
    this.#forgetExpired();
    tokens.replace(this.list(), "issued");
    tokens.revoke(store.revoked());
  }

  /** @throws TurnaboutError `already_exists`, `overloaded` */
  issue(request: TokenRequest): { secret: string; record: StoredToken } {
    if (request.id === "admin" || this.#tokens.has(request.id)) {
      throw new TurnaboutError("already_exists", `issue token ${request.id}: it exists already`);
    }
    if (this.#issued.has(request.id) || this.#issued.size >= MAX_ISSUED_TOKENS) this.#forgetExpired();
    if (this.#issued.size >= MAX_ISSUED_TOKENS)
      throw new TurnaboutError("overloaded", "issue token: too many tokens are issued");
    const secret = `ta_${randomBytes(24).toString("base64url")}`;
    const { id, kind, owner, runners, targets, expiresAtMs, group } = request;
    const record: StoredToken = {
      id,
      kind,
      sha256: hashToken(secret),
      runners,
      createdAtMs: Date.now(),
      ...(owner !== undefined && { owner }),
      ...(targets !== undefined && { targets }),
      ...(expiresAtMs !== undefined && { expiresAtMs }),
      ...(group !== undefined && { group }),
    };
    this.#store.insert(record);
    this.#issued.set(id, record);
    this.#tokens.add(record, "issued");
    return { secret, record };
  }

  /** False if there is no such token. What it has opened is closed at once. */
  revoke(id: string): boolean {
    const record = this.#issued.get(id);
    if (record === undefined) return false;
    this.#issued.delete(id);
    this.#store.remove(id);
    this.#tokens.remove(record, "issued");
    return true;
  }

  /**
   * Revokes tokens of the token file and of the options permanently, by their hashes, although they stay there. A new
   * token with the same id is not affected.
   *
   * @returns how many were revoked
   */
  revokeConfigured(isMeant: (token: TokenRecord) => boolean): number {
    const revoked = new Set(this.#store.revoked());
    const hashes = this.#tokens
      .configured()
      .filter((token) => !revoked.has(token.sha256) && isMeant(token))
      .map(({ sha256 }) => sha256);
    for (const sha256 of hashes) this.#store.revoke(sha256);
    this.#tokens.revoke(hashes);
    return hashes.length;
  }

  list(): StoredToken[] {
    return [...this.#issued.values()];
  }

  #forgetExpired(): void {
    const now = Date.now();
    for (const { id, expiresAtMs = Infinity } of this.#issued.values())
      if (expiresAtMs <= now) this.revoke(id);
  }
}
