/** Sessions: who owns one, on which instance it runs, and as which lobby. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import { choice, integer, json, optionalText, text } from "../../control/extension.ts";
import type { Row } from "../../control/extension.ts";

/**
 *     creating ─▶ running ◀─▶ lost        (its instance vanished past the grace; it may come back)
 *         │          │          │
 *         └──────────┴─▶ stopping ─▶ (row removed)
 */
export type SessionState = "creating" | "running" | "lost" | "stopping";

export interface SessionSpec {
  width: number;
  height: number;
  refreshRate: number;
  /** Container image of the sandbox. Default: that of the options. */
  image?: string | undefined;
  gpuVendor?: string | undefined;
  privileged?: boolean | undefined;
}

const stateSchema: z.ZodType<SessionState> = z.enum(["creating", "running", "lost", "stopping"]);
const specSchema: z.ZodType<SessionSpec> = z.object({
  width: z.number(),
  height: z.number(),
  refreshRate: z.number(),
  image: z.string().optional(),
  gpuVendor: z.string().optional(),
  privileged: z.boolean().optional(),
});

export interface Session {
  id: string;
  owner: string;
  name: string;
  instanceId: string;
  lobbyId: string | undefined;
  lobbyPin: string | undefined;
  state: SessionState;
  /** Why it is in this state, if that is not obvious. */
  reason: string | undefined;
  spec: SessionSpec;
  createdAtMs: number;
  updatedAtMs: number;
}

/** Written through to the database, read from memory: each request to a sandbox needs its owner. */
export class SessionStore {
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #remove: StatementSync;
  readonly #sessions: Map<string, Session>;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(
      `INSERT INTO sessions (id, owner, name, instance_id, lobby_id, lobby_pin, state, reason, spec, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#update = database.prepare(
      "UPDATE sessions SET instance_id = ?, lobby_id = ?, state = ?, reason = ?, updated_at = ? WHERE id = ?",
    );
    this.#remove = database.prepare("DELETE FROM sessions WHERE id = ?");
    const rows = database.prepare("SELECT * FROM sessions ORDER BY created_at, id").all();
    this.#sessions = new Map(rows.map(fromRow).map((session) => [session.id, session]));
  }

  insert(session: Session): void {
    this.#insert.run(
      session.id,
      session.owner,
      session.name,
      session.instanceId,
      session.lobbyId ?? null,
      session.lobbyPin ?? null,
      session.state,
      session.reason ?? null,
      JSON.stringify(session.spec),
      session.createdAtMs,
      session.updatedAtMs,
    );
    this.#sessions.set(session.id, session);
  }

  /** Saves instance, lobby, state and reason. */
  update(
    session: Session,
    changes: Partial<Pick<Session, "instanceId" | "lobbyId" | "state" | "reason">>,
  ): void {
    Object.assign(session, changes);
    session.updatedAtMs = Date.now();
    const { instanceId, lobbyId, state, reason, updatedAtMs, id } = session;
    this.#update.run(instanceId, lobbyId ?? null, state, reason ?? null, updatedAtMs, id);
  }

  remove(id: string): void {
    this.#remove.run(id);
    this.#sessions.delete(id);
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Oldest first. */
  list(): Session[] {
    return [...this.#sessions.values()];
  }

  onInstance(instanceId: string): Session[] {
    return this.list().filter((session) => session.instanceId === instanceId);
  }
}

function fromRow(row: Row): Session {
  return {
    id: text(row, "id"),
    owner: text(row, "owner"),
    name: text(row, "name"),
    instanceId: text(row, "instance_id"),
    lobbyId: optionalText(row, "lobby_id"),
    lobbyPin: optionalText(row, "lobby_pin"),
    state: choice(row, "state", stateSchema),
    reason: optionalText(row, "reason"),
    spec: json(row, "spec", specSchema),
    createdAtMs: integer(row, "created_at"),
    updatedAtMs: integer(row, "updated_at"),
  };
}
