/**
 * Tokens that were issued by the API, as hashes. Those of the token file and of the options stay there; what is kept of
 * them is which were revoked by the API. All of it is read once and kept in memory.
 */
import { z } from "zod";
import type { IssuedTokens, StoredToken } from "../auth/issuer.ts";
import { choice, integer, json, optionalInteger, optionalText, readRows, text } from "../sqlite/rows.ts";
import type { Row } from "../sqlite/rows.ts";
import type { Statement } from "../sqlite/statement.ts";
import type { Store } from "./store.ts";

/** Hashes of revoked tokens that are not ours to delete; the oldest is forgotten first. */
const MAX_REVOKED_TOKENS = 100_000;

const kindSchema: z.ZodType<StoredToken["kind"]> = z.enum(["admin", "user", "runner"]);
const patternsSchema: z.ZodType<string[]> = z.array(z.string());

export class IssuedTokenStore implements IssuedTokens {
  readonly #store: Store;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #putRevoked: Statement;
  readonly #deleteRevoked: Statement;
  readonly #all: Statement;
  readonly #allRevoked: Statement;
  #tokens = new Map<string, StoredToken>();
  /** When each was revoked, by hash; the oldest first. */
  #revoked = new Map<string, number>();

  /** @throws TurnaboutError `config_invalid` for a row that is not valid */
  constructor(store: Store) {
    this.#store = store;
    this.#put = store.prepare(
      `INSERT OR REPLACE INTO tokens (id, kind, sha256, owner, group_id, runners, targets, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#delete = store.prepare("DELETE FROM tokens WHERE id = ?");
    this.#putRevoked = store.prepare(
      "INSERT OR REPLACE INTO revoked_tokens (sha256, revoked_at) VALUES (?, ?)",
    );
    this.#deleteRevoked = store.prepare("DELETE FROM revoked_tokens WHERE sha256 = ?");
    this.#all = store.prepare("SELECT * FROM tokens ORDER BY created_at, id");
    this.#allRevoked = store.prepare("SELECT * FROM revoked_tokens ORDER BY revoked_at");
    this.#read();
    store.onRecreate(() => {
      for (const id of this.#tokens.keys()) this.#write(id);
      for (const sha256 of this.#revoked.keys()) this.#writeRevoked(sha256);
    });
  }

  /** @param listener another process has changed the tokens */
  onReload(listener: () => void): void {
    const read = (): void => {
      const revoked = this.#revoked;
      this.#read();
      // What was revoked here meanwhile stays revoked.
      for (const [sha256, atMs] of revoked) this.#revoked.set(sha256, this.#revoked.get(sha256) ?? atMs);
      for (const id of this.#tokens.keys()) if (this.isRemovalUnsaved(id)) this.#tokens.delete(id);
    };
    this.#store.onReload(() => {
      read();
      listener();
    });
    this.#store.successor.onChange(() => {
      read();
      return listener;
    });
  }

  insert(token: StoredToken): void {
    this.#store.write(`issue token ${token.id}`, () => this.#putRow(token));
    this.#tokens.set(token.id, token);
  }

  remove(id: string): void {
    this.#tokens.delete(id);
    this.#store.save(`token ${id}`, () => this.#write(id));
  }

  get(id: string): StoredToken | undefined {
    return this.#tokens.get(id);
  }

  get size(): number {
    return this.#tokens.size;
  }

  list(): StoredToken[] {
    return [...this.#tokens.values()];
  }

  revoke(sha256: string): void {
    if (this.#revoked.has(sha256)) return;
    this.#revoked.set(sha256, Date.now());
    const [oldest] = this.#revoked.size > MAX_REVOKED_TOKENS ? this.#revoked.keys() : [];
    if (oldest !== undefined) this.#revoked.delete(oldest);
    for (const changed of oldest === undefined ? [sha256] : [sha256, oldest]) {
      this.#store.save(`revoked token ${changed}`, () => this.#writeRevoked(changed));
    }
  }

  revoked(): string[] {
    return [...this.#revoked.keys()];
  }

  isRevoked(sha256: string): boolean {
    return this.#revoked.has(sha256);
  }

  isRemovalUnsaved(id: string): boolean {
    return this.#store.isUnsaved(`token ${id}`);
  }

  isRevocationUnsaved(sha256: string): boolean {
    return this.#store.isUnsaved(`revoked token ${sha256}`);
  }

  #read(): void {
    const tokens = readRows("tokens", this.#all.all(), fromRow);
    const revoked = readRows("revoked_tokens", this.#allRevoked.all(), (row): [string, number] => [
      text(row, "sha256"),
      integer(row, "revoked_at"),
    ]);
    this.#tokens = new Map(tokens.map((token) => [token.id, token]));
    this.#revoked = new Map(revoked);
  }

  /** What memory has of this token, to its row. */
  #write(id: string): void {
    const token = this.#tokens.get(id);
    if (token === undefined) this.#delete.run(id);
    else this.#putRow(token);
  }

  #putRow(token: StoredToken): void {
    this.#put.run(
      token.id,
      token.kind,
      token.sha256,
      token.owner ?? null,
      token.group ?? null,
      JSON.stringify(token.runners),
      token.targets === undefined ? null : JSON.stringify(token.targets),
      token.createdAtMs,
      token.expiresAtMs ?? null,
    );
  }

  #writeRevoked(sha256: string): void {
    const revokedAtMs = this.#revoked.get(sha256);
    if (revokedAtMs === undefined) this.#deleteRevoked.run(sha256);
    else this.#putRevoked.run(sha256, revokedAtMs);
  }
}

function fromRow(row: Row): StoredToken {
  const owner = optionalText(row, "owner");
  const group = optionalText(row, "group_id");
  const expiresAtMs = optionalInteger(row, "expires_at");
  return {
    id: text(row, "id"),
    kind: choice(row, "kind", kindSchema),
    sha256: text(row, "sha256"),
    runners: json(row, "runners", patternsSchema),
    ...(row["targets"] !== null && { targets: json(row, "targets", patternsSchema) }),
    ...(owner !== undefined && { owner }),
    ...(group !== undefined && { group }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    createdAtMs: integer(row, "created_at"),
  };
}
