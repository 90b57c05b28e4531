/**
 * Tokens that were issued by the API, as hashes. Those of the token file and of the options stay there; what is kept of
 * them is which were revoked by the API.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import type { IssuedTokens, StoredToken } from "../auth/issuer.ts";
import { choice, integer, json, optionalInteger, optionalText, text } from "./rows.ts";
import type { Row } from "./rows.ts";

/** Hashes of revoked tokens that are not ours to delete; the oldest is forgotten first. */
const MAX_REVOKED_TOKENS = 100_000;

const kindSchema: z.ZodType<StoredToken["kind"]> = z.enum(["admin", "user", "runner"]);
const patternsSchema: z.ZodType<string[]> = z.array(z.string());

export class IssuedTokenStore implements IssuedTokens {
  readonly #insert: StatementSync;
  readonly #remove: StatementSync;
  readonly #all: StatementSync;
  readonly #revoke: StatementSync;
  readonly #forgetOldRevoked: StatementSync;
  readonly #revoked: StatementSync;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(
      `INSERT INTO tokens (id, kind, sha256, owner, group_id, runners, targets, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#remove = database.prepare("DELETE FROM tokens WHERE id = ?");
    this.#all = database.prepare("SELECT * FROM tokens ORDER BY created_at, id");
    this.#revoke = database.prepare(
      "INSERT OR IGNORE INTO revoked_tokens (sha256, revoked_at) VALUES (?, ?)",
    );
    this.#forgetOldRevoked = database.prepare(
      `DELETE FROM revoked_tokens WHERE sha256 NOT IN
         (SELECT sha256 FROM revoked_tokens ORDER BY revoked_at DESC LIMIT ${MAX_REVOKED_TOKENS})`,
    );
    this.#revoked = database.prepare("SELECT sha256 FROM revoked_tokens");
  }

  insert(token: StoredToken): void {
    this.#insert.run(
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

  remove(id: string): boolean {
    return this.#remove.run(id).changes > 0;
  }

  list(): StoredToken[] {
    return this.#all.all().map(fromRow);
  }

  revoke(sha256: string): void {
    this.#revoke.run(sha256, Date.now());
    this.#forgetOldRevoked.run();
  }

  revoked(): string[] {
    return this.#revoked.all().map((row) => text(row, "sha256"));
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
