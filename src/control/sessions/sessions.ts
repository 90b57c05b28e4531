/**
 * Sessions: placed on an instance, created as a lobby through the tunnel, stopped again. A place is taken by the row
 * itself, before anything is awaited, so that parallel creations never over-commit; what became of a creation whose
 * answer was lost is settled by looking at the instance's lobbies when it is reached again.
 */
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import type { TokenIssuer } from "../auth/issuer.ts";
import type { OpenWork } from "../open-work.ts";
import type { Session, SessionSpec, SessionStore } from "../store/sessions.ts";
import { newSessionId } from "./ids.ts";
import type { Instances } from "./instances.ts";
import type { Lobbies } from "./lobbies.ts";
import { chooseInstance } from "./scheduler.ts";

export type SessionEvent =
  | { type: "session-created"; session: string; owner: string; instance: string }
  | { type: "session-lost"; session: string; owner: string; instance: string }
  | { type: "session-back"; session: string; owner: string; instance: string }
  | { type: "session-ended"; session: string; owner: string; reason: string };

export interface SessionsContext {
  store: SessionStore;
  instances: Instances;
  issuer: TokenIssuer;
  work: OpenWork;
  lobbies(instanceId: string): Lobbies;
  /** Ends the tunnel of a session's sandbox. */
  kickSandbox(sessionId: string): void;
  /** What a sandbox's agent dials, as seen from inside; undefined leaves it out of the container's environment. */
  agentUrl: string | undefined;
  defaultImage: string;
  log: Logger;
  onEvent(event: SessionEvent): void;
}

/** Errors after which Wolf has certainly not seen the request. */
const NOT_SENT: ReadonlySet<string> = new Set([
  "runner_unknown",
  "runner_offline",
  "target_unknown",
  "target_refused",
  "target_unreachable",
  "target_unresolved",
  "target_timeout",
  "tunnel_timeout",
  "agent_draining",
  "control_plane_draining",
  "overloaded",
  "wolf_failed", // seen, and refused by Wolf itself
]);

export class Sessions {
  readonly #context: SessionsContext;
  /** Creations of this process that wait for Wolf: a reconciliation leaves them alone. */
  readonly #creating = new Set<string>();
  readonly #reconciling = new Map<string, Promise<void>>();

  constructor(context: SessionsContext) {
    this.#context = context;
  }

  /** @throws TurnaboutError `no_instance_online`, `no_instance_matches`, `instances_full`, or why Wolf could not be reached */
  async create(owner: string, name: string, spec: SessionSpec): Promise<Session> {
    const { store, issuer, instances, log } = this.#context;
    const session = this.#reserve(owner, name, spec);
    this.#creating.add(session.id);
    try {
      const secret = issuer.issueForSession(session.id);
      const instance = instances.get(session.instanceId);
      const lobbyId = await this.#context.lobbies(session.instanceId).create({
        sessionId: session.id,
        image: spec.image ?? this.#context.defaultImage,
        width: spec.width,
        height: spec.height,
        refreshRate: spec.refreshRate,
        renderNode: instance.renderNode ?? "SOFTWARE",
        environment: this.#environment(session.id, secret),
      });
      // Deleted while Wolf was at it: the deletion finds the lobby now.
      const wasDeleted = session.state === "stopping";
      store.update(session, { lobbyId, ...(!wasDeleted && { state: "running" }) });
      this.#creating.delete(session.id);
      if (wasDeleted) {
        await this.remove(session);
        throw new TurnaboutError("session_unknown", `session ${session.id} was deleted while it was created`);
      }
      this.#emit("session-created", session);
      return session;
    } catch (cause) {
      this.#creating.delete(session.id);
      const error = toError(cause);
      if (error instanceof TurnaboutError && NOT_SENT.has(error.code)) this.#end(session, error.message);
      else if (store.get(session.id) !== undefined) {
        store.update(session, { state: "stopping", reason: `creation not answered: ${error.message}` });
        log.warn(
          { session: session.id, reason: error.message },
          "lobby creation not answered; settling it later",
        );
        this.settle(session.instanceId);
      }
      throw error;
    }
  }

  /** @returns false if the instance cannot be reached now: the lobby is stopped when it is back */
  async remove(session: Session): Promise<boolean> {
    const { store, issuer, work, log } = this.#context;
    if (session.state !== "stopping") store.update(session, { state: "stopping", reason: "deleted" });
    // Whatever happens to Wolf: nobody reaches the session any more, and its sandbox cannot come back.
    work.closeSession(session.id);
    issuer.revokeSession(session.id);
    this.#context.kickSandbox(session.id);
    if (this.#creating.has(session.id)) return false;
    if (session.lobbyId === undefined) {
      await this.#reconcile(session.instanceId).catch(() => {});
      return store.get(session.id) === undefined;
    }
    try {
      await this.#context.lobbies(session.instanceId).stop(session.lobbyId);
    } catch (error) {
      log.warn(
        { session: session.id, reason: toError(error).message },
        "lobby not stopped yet; trying when Wolf is back",
      );
      return false;
    }
    this.#end(session, "deleted");
    return true;
  }

  /** The instance has connected, or something about it is unsettled: its lobbies say what is true. */
  settle(instanceId: string): void {
    this.#reconcile(instanceId).catch((error: unknown) => {
      const reason = toError(error).message;
      this.#context.log.warn(
        { instance: instanceId, reason },
        "lobbies could not be listed; trying at the next connect",
      );
    });
  }

  /** The instance has vanished past its grace. */
  instanceGone(instanceId: string): void {
    for (const session of this.#context.store.onInstance(instanceId)) {
      if (session.state !== "running") continue;
      this.#context.store.update(session, { state: "lost", reason: "its instance is not connected" });
      this.#emit("session-lost", session);
    }
  }

  #reserve(owner: string, name: string, spec: SessionSpec): Session {
    const { store, instances } = this.#context;
    const taken = new Map<string, number>();
    for (const { instanceId } of store.list()) taken.set(instanceId, (taken.get(instanceId) ?? 0) + 1);
    const choice = chooseInstance(
      instances.list().map((instance) => ({
        instance,
        online: instances.isOnline(instance.id),
        taken: taken.get(instance.id) ?? 0,
      })),
      spec,
    );
    if ("reason" in choice) throw new TurnaboutError(choice.reason, `create session: ${choice.reason}`);
    const now = Date.now();
    const session: Session = {
      id: newSessionId(),
      owner,
      name,
      instanceId: choice.id,
      lobbyId: undefined,
      lobbyPin: undefined,
      state: "creating",
      reason: undefined,
      spec,
      createdAtMs: now,
      updatedAtMs: now,
    };
    store.insert(session);
    return session;
  }

  #environment(sessionId: string, secret: string): Record<string, string> {
    const { agentUrl } = this.#context;
    return {
      HELIX_SESSION_ID: sessionId,
      USER_API_TOKEN: secret,
      ...(agentUrl !== undefined && { HELIX_API_URL: agentUrl }),
    };
  }

  /** One at a time for each instance; a second wish joins the first. */
  #reconcile(instanceId: string): Promise<void> {
    const running = this.#reconciling.get(instanceId);
    if (running !== undefined) return running;
    const started = this.#compare(instanceId).finally(() => this.#reconciling.delete(instanceId));
    this.#reconciling.set(instanceId, started);
    return started;
  }

  async #compare(instanceId: string): Promise<void> {
    const { store, log } = this.#context;
    // Only sessions that were there before the list was asked for can be judged by it.
    const before = store.onInstance(instanceId).filter(({ id }) => !this.#creating.has(id));
    if (before.length === 0) return;
    const lobbies = this.#context.lobbies(instanceId);
    const found = await lobbies.list();
    for (const session of before) {
      if (store.get(session.id) === undefined || this.#creating.has(session.id)) continue;
      const lobby = found.find(({ id, name }) => id === session.lobbyId || name === session.id);
      if (lobby === undefined) this.#end(session, "its lobby is gone");
      else if (session.state === "stopping") {
        await lobbies.stop(lobby.id);
        this.#end(session, session.reason ?? "deleted");
      } else if (session.state !== "running") {
        const wasLost = session.state === "lost";
        store.update(session, { lobbyId: lobby.id, state: "running", reason: undefined });
        this.#emit(wasLost ? "session-back" : "session-created", session);
        log.info(
          { session: session.id, instance: instanceId },
          wasLost ? "session is back" : "session adopted",
        );
      }
    }
  }

  #end(session: Session, reason: string): void {
    const { store, issuer, work } = this.#context;
    store.remove(session.id);
    work.closeSession(session.id);
    issuer.revokeSession(session.id);
    this.#context.kickSandbox(session.id);
    this.#context.onEvent({ type: "session-ended", session: session.id, owner: session.owner, reason });
  }

  #emit(type: "session-created" | "session-lost" | "session-back", session: Session): void {
    this.#context.onEvent({ type, session: session.id, owner: session.owner, instance: session.instanceId });
  }
}
