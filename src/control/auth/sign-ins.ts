/**
 * Browsers that have signed in with a token. A random id stands for the token for a while, so that no page keeps the token itself.
 * The id is good in the cookie only, and for no more than the token is.
 */
import { randomBytes } from "node:crypto";
import { TurnaboutError } from "../../wire/errors.ts";
import { SIGN_IN_IDLE_MS, SIGN_IN_MAX_MS, SIGN_IN_SWEEP_MS } from "../limits.ts";
import { credentialHolder } from "../shares/holders.ts";
import type { Release, Shares } from "../shares/shares.ts";
import type { Identity } from "./identity.ts";
import { hashToken } from "./tokens.ts";
import type { TokenStore } from "./tokens.ts";

/** What every id begins with: one that has ended is distinguished from an invalid token. */
const ID_PREFIX = "signin_";

interface SignIn {
  /** Hash of its id. */
  readonly key: string;
  readonly holder: string;
  readonly sinceMs: number;
  /** It ends at the latest then, however often it is used. */
  readonly endsAtMs: number;
  readonly release: Release;
  usedAtMs: number;
  /** Of its token, as it was when it was last used. */
  tokenIdentity: Identity;
  /** The same with the sign-in's key. */
  identity: Identity;
}

/** Unix milliseconds. */
export interface SignInTimes {
  sinceMs: number;
  /** When it ends if it is not used. */
  expiresAtMs: number;
  endsAtMs: number;
}

type TokensOfSignIns = Pick<TokenStore, "current" | "expiryOf" | "onChange" | "used">;

export class SignIns {
  readonly #tokens: TokensOfSignIns;
  readonly #places: Shares;
  readonly #now: () => number;
  /** By hash of the id. In the order of their beginning. */
  readonly #byKey = new Map<string, SignIn>();
  #onEnd: () => void = () => {};
  #sweepTimer: NodeJS.Timeout | undefined;

  /** @param places how many there may be of one user and in total */
  constructor(tokens: TokensOfSignIns, places: Shares, now: () => number = Date.now) {
    this.#tokens = tokens;
    this.#places = places;
    this.#now = now;
    tokens.onChange(() => this.sweep());
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** How many a credential has, and all of one owner. */
  countOf(isMeant: (identity: Identity) => boolean): number {
    let count = 0;
    for (const { identity } of this.#byKey.values()) if (isMeant(identity)) count += 1;
    return count;
  }

  /** @param listener called when some have ended, to close what they had opened */
  onEnd(listener: () => void): void {
    this.#onEnd = listener;
  }

  /**
   * Of a user who has all places already, the one that was not used for the longest ends.
   *
   * @returns its id, which is a secret, and its identity
   * @throws TurnaboutError `overloaded` if there is no place
   */
  begin(tokenIdentity: Identity): { id: string; identity: Identity; endsAtMs: number } {
    const holder = credentialHolder(tokenIdentity);
    const release = this.#takePlace(holder);
    const id = `${ID_PREFIX}${randomBytes(32).toString("base64url")}`;
    const key = hashToken(id);
    const now = this.#now();
    const expiryMs = this.#tokens.expiryOf(tokenIdentity) ?? Infinity;
    const endsAtMs = Math.min(now + SIGN_IN_MAX_MS, expiryMs);
    const identity = { ...tokenIdentity, signIn: key };
    const times = { sinceMs: now, usedAtMs: now, endsAtMs };
    this.#byKey.set(key, { key, holder, release, tokenIdentity, identity, ...times });
    this.#sweepLater();
    return { id, identity, endsAtMs };
  }

  /** Its identity with the current grant of its token. It counts as used. Undefined for an unknown id, or one that has ended. */
  find(id: string): Identity | undefined {
    if (this.#byKey.size === 0 || !id.startsWith(ID_PREFIX)) return undefined;
    const signIn = this.#byKey.get(hashToken(id));
    const current = signIn === undefined ? undefined : this.#tokenOf(signIn);
    if (signIn === undefined || current === undefined) return undefined;
    signIn.usedAtMs = this.#now();
    this.#tokens.used(current);
    if (current !== signIn.tokenIdentity) {
      signIn.tokenIdentity = current;
      signIn.identity = { ...current, signIn: signIn.key };
    }
    return signIn.identity;
  }

  /** Whether an id may have been one of ours: nothing but its form is looked at. */
  static isId(text: string): boolean {
    return text.startsWith(ID_PREFIX);
  }

  /** False for the identity of a sign-in that has ended; true for every other identity. */
  isOpen({ signIn: key }: Pick<Identity, "signIn">): boolean {
    return key === undefined || this.#byKey.has(key);
  }

  /** Undefined for an identity that comes from no sign-in. */
  timesOf({ signIn: key }: Pick<Identity, "signIn">): SignInTimes | undefined {
    const signIn = key === undefined ? undefined : this.#byKey.get(key);
    if (signIn === undefined) return undefined;
    const { sinceMs, usedAtMs, endsAtMs } = signIn;
    return { sinceMs, endsAtMs, expiresAtMs: Math.min(usedAtMs + SIGN_IN_IDLE_MS, endsAtMs) };
  }

  /** Signs out. No effect for an identity that comes from no sign-in. */
  end({ signIn: key }: Pick<Identity, "signIn">): void {
    const signIn = key === undefined ? undefined : this.#byKey.get(key);
    if (signIn === undefined) return;
    this.#remove(signIn);
    this.#onEnd();
  }

  /** Ends those that were not used for too long, that have lasted for too long, or whose token is no longer good. */
  sweep(): void {
    const ended = [...this.#byKey.values()].filter((signIn) => this.#tokenOf(signIn) === undefined);
    for (const signIn of ended) this.#remove(signIn);
    if (ended.length > 0) this.#onEnd();
  }

  close(): void {
    clearInterval(this.#sweepTimer);
    this.#sweepTimer = undefined;
    this.#byKey.clear();
  }

  /** Undefined if it has ended. */
  #tokenOf({ usedAtMs, endsAtMs, tokenIdentity }: SignIn): Identity | undefined {
    const now = this.#now();
    if (now >= endsAtMs || now >= usedAtMs + SIGN_IN_IDLE_MS) return undefined;
    return this.#tokens.current(tokenIdentity);
  }

  #takePlace(holder: string): Release {
    try {
      return this.#places.take(holder);
    } catch (error) {
      const oldest = this.#leastRecentlyUsed(holder);
      const hasShare = error instanceof TurnaboutError && error.code === "share_exceeded";
      if (!hasShare || oldest === undefined) throw error;
      this.#remove(oldest);
      this.#onEnd();
      return this.#places.take(holder);
    }
  }

  #leastRecentlyUsed(holder: string): SignIn | undefined {
    let oldest: SignIn | undefined;
    for (const signIn of this.#byKey.values()) {
      if (signIn.holder === holder && signIn.usedAtMs < (oldest?.usedAtMs ?? Infinity)) oldest = signIn;
    }
    return oldest;
  }

  #remove(signIn: SignIn): void {
    signIn.release();
    this.#byKey.delete(signIn.key);
    if (this.#byKey.size > 0) return;
    clearInterval(this.#sweepTimer);
    this.#sweepTimer = undefined;
  }

  #sweepLater(): void {
    this.#sweepTimer ??= setInterval(() => this.sweep(), SIGN_IN_SWEEP_MS).unref();
  }
}
