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

/** Where issued tokens are kept: in memory, and saved. */
export interface IssuedTokens {
  /** Saves it first. @throws TurnaboutError `store_unavailable` */
  insert(token: StoredToken): void;
  /** Counts at once, and is saved as soon as possible. */
  remove(id: string): void;
  get(id: string): StoredToken | undefined;
  readonly size: number;
  list(): StoredToken[];
  /** @param listener another process has changed the tokens */
  onReload(listener: () => void): void;
  /** Refuses this hash permanently, also where the token file or the options still have it. As {@link remove}. */
  revoke(sha256: string): void;
  /** Hashes that were revoked although the token file or the options had them. */
  revoked(): string[];
  isRevoked(sha256: string): boolean;
  isRemovalUnsaved(id: string): boolean;
  isRevocationUnsaved(sha256: string): boolean;
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

  constructor(store: IssuedTokens, tokens: TokenStore) {
    this.#store = store;
    this.#tokens = tokens;
    this.#forgetExpired();
    this.#apply();
    store.onReload(() => this.#apply());
  }

  /** @throws TurnaboutError `already_exists`, `overloaded`, `store_unavailable` */
  issue(request: TokenRequest): { secret: string; record: StoredToken } {
    if (request.id === "admin" || this.#tokens.has(request.id)) {
      throw new TurnaboutError("already_exists", `issue token ${request.id}: it exists already`);
    }
    if (this.#store.get(request.id) !== undefined || this.#store.size >= MAX_ISSUED_TOKENS) {
      this.#forgetExpired();
    }
    if (this.#store.size >= MAX_ISSUED_TOKENS)
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
    this.#tokens.add(record, "issued");
    return { secret, record };
  }

  /**
   * It counts at once, also where it cannot be saved now; what the token has opened is closed.
   *
   * @returns false if there is no such token, and no revocation of one that is not saved yet
   */
  revoke(id: string): boolean {
    const record = this.#store.get(id);
    if (record === undefined) return this.#store.isRemovalUnsaved(id);
    this.#store.remove(id);
    this.#tokens.remove(record, "issued");
    return true;
  }

  /**
   * Revokes tokens of the token file and of the options permanently, by their hashes, although they stay there. A new
   * token with the same id is not affected. Counts at once, as {@link revoke}.
   *
   * @returns how many were revoked, those included whose revocation is not saved yet
   */
  revokeConfigured(isMeant: (token: TokenRecord) => boolean): number {
    const hashes = this.#tokens
      .configured()
      .filter(isMeant)
      .map(({ sha256 }) => sha256)
      .filter((sha256) => !this.#store.isRevoked(sha256) || this.#store.isRevocationUnsaved(sha256));
    for (const sha256 of hashes) this.#store.revoke(sha256);
    this.#tokens.revoke(hashes);
    return hashes.length;
  }

  list(): StoredToken[] {
    return this.#store.list();
  }

  #apply(): void {
    this.#tokens.replace(this.list(), "issued");
    this.#tokens.revoke(this.#store.revoked());
  }

  #forgetExpired(): void {
    const now = Date.now();
    for (const { id, expiresAtMs = Infinity } of this.#store.list()) if (expiresAtMs <= now) this.revoke(id);
  }
}
