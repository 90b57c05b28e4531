/** Sessions: who owns one, on which instance it runs, and as which lobby. */
import { z } from "zod";
import { choice, integer, json, optionalText, readRows, text } from "../../control/extension.ts";
import type { ExtensionStore, Row, Statement } from "../../control/extension.ts";

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

/** Read once and kept in memory: each request to a sandbox needs its owner. */
export class SessionStore {
  readonly #store: ExtensionStore;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #sessions = new Map<string, Session>();

  /** @throws TurnaboutError `config_invalid` for a row that is not valid */
  constructor(store: ExtensionStore) {
    this.#store = store;
    this.#put = store.prepare(
      `INSERT OR REPLACE INTO sessions (id, owner, name, instance_id, lobby_id, lobby_pin, state, reason, spec, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#delete = store.prepare("DELETE FROM sessions WHERE id = ?");
    const all = store.prepare("SELECT * FROM sessions ORDER BY created_at, id");
    const read = (): void => this.#read(readRows("sessions", all.all(), fromRow));
    read();
    store.onReload(read);
    store.onRecreate(() => {
      for (const id of this.#sessions.keys()) this.#write(id);
    });
  }

  /** Saves it first. @throws TurnaboutError `store_unavailable` */
  insert(session: Session): void {
    this.#store.write(`create session ${session.id}`, () => this.#putRow(session));
    this.#sessions.set(session.id, session);
  }

  /** Counts at once, and is saved as soon as possible: its instance's lobbies decide, not its row. */
  update(
    session: Session,
    changes: Partial<Pick<Session, "instanceId" | "lobbyId" | "state" | "reason">>,
  ): void {
    Object.assign(session, changes);
    session.updatedAtMs = Date.now();
    this.#save(session.id);
  }

  /** Counts at once, as {@link update}. */
  remove(id: string): void {
    this.#sessions.delete(id);
    this.#save(id);
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

  /** Rows as they are now, but for what is not saved yet. What others hold of a session stays valid. */
  #read(rows: readonly Session[]): void {
    const found = new Map(rows.map((row) => [row.id, row]));
    for (const id of this.#sessions.keys())
      if (!found.has(id) && !this.#isUnsaved(id)) this.#sessions.delete(id);
    for (const [id, row] of found) {
      if (this.#isUnsaved(id)) continue;
      this.#sessions.set(id, Object.assign(this.#sessions.get(id) ?? row, row));
    }
  }

  #isUnsaved(id: string): boolean {
    return this.#store.isUnsaved(`session ${id}`);
  }

  #save(id: string): void {
    this.#store.save(`session ${id}`, () => this.#write(id));
  }

  /** What memory has of this session, to its row. */
  #write(id: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) this.#delete.run(id);
    else this.#putRow(session);
  }

  #putRow(session: Session): void {
    this.#put.run(
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
