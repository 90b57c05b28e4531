/**
 * Sessions: placed on an instance, created as a lobby through the tunnel, and stopped. Inserting the row reserves the
 * place, before anything is awaited, so that parallel creations never over-commit. After a creation whose response was
 * lost, the instance's lobbies show what became of it, once the instance can be reached again.
 */
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { HelixError } from "../errors.ts";
import type { Logger } from "../../wire/log.ts";
import type { Shares } from "../../control/extension.ts";
import type { Session, SessionSpec, SessionStore } from "../store/sessions.ts";
import { newSessionId } from "../ids.ts";
import type { Instances } from "../instances/instances.ts";
import { MADE_BY_VARIABLE } from "./lobbies.ts";
import type { Lobbies } from "./lobbies.ts";
import { Reconciler } from "./reconciler.ts";
import { compareLobbies } from "./lobby-comparison.ts";
import { Placement } from "./placement.ts";
import type { CreateOptions } from "./placement.ts";
import type { SessionEvent } from "./session-event.ts";
import type { SandboxAccess } from "./sandbox-access.ts";

export interface SessionsContext {
  store: SessionStore;
  /** Id of the store: marks our lobbies. */
  storeId: string;
  instances: Instances;
  access: SandboxAccess;
  lobbies: (instanceId: string) => Lobbies;
  /** What a sandbox's agent dials, as seen from inside; undefined leaves it out of the container's environment. */
  agentUrl: string | undefined;
  defaultImage: string;
  /** How long a creation waits for an instance that is expected back. */
  awaitMs: number;
  /** Of the creations that wait. */
  waitingCreations: Shares;
  log: Logger;
  onEvent: (event: SessionEvent) => void;
}

/** Errors after which Wolf has certainly not seen the request. Wolf's own refusal is not among them: it may have given up waiting. */
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
  "store_unavailable",
]);

/** Of these, those that another instance would not change. */
const NOT_OF_THE_INSTANCE: ReadonlySet<string> = new Set(["control_plane_draining", "store_unavailable"]);

/** Instances that a creation tries in turn, as long as the one before has certainly not seen it. */
const CREATE_ATTEMPTS = 3;

/** How often all instances are compared: Wolf may restart while its agent stays connected. */
const CHECK_MS = 60_000;

export class Sessions {
  readonly #context: SessionsContext;
  readonly #placement: Placement;
  /** Sessions whose creation waits for Wolf: a comparison leaves them alone. */
  readonly #creating = new Set<string>();
  readonly #reconciler: Reconciler;
  readonly #checkTimer: NodeJS.Timeout;

  constructor(context: SessionsContext) {
    this.#context = context;
    this.#placement = new Placement(context);
    this.#reconciler = new Reconciler({
      task: (instanceId) => this.#compare(instanceId),
      worthRetrying: (instanceId) => context.instances.isOnline(instanceId),
      onFailure: (instance, error) => {
        const reason = toError(error).message;
        context.log.warn(
          { instance, reason },
          "could not compare sessions with the instance's lobbies; will retry",
        );
      },
    });
    this.#checkTimer = setInterval(() => this.#checkAll(), CHECK_MS);
    this.#checkTimer.unref();
    // A process that was killed may have left tokens of sessions that ended.
    context.access.revokeOthers((session) => context.store.get(session) !== undefined);
  }

  /** Refuses creations that wait for an instance. */
  drain(): void {
    this.#placement.close();
  }

  /** Leaves no timer. */
  close(): void {
    this.drain();
    clearInterval(this.#checkTimer);
    this.#reconciler.close();
  }

  /**
   * @throws HelixError `no_instance_online`, `no_instance_matches`, `instances_full`, `too_many_sessions`, `wolf_failed`
   * @throws TurnaboutError why Wolf could not be reached; `store_unavailable`; `aborted`, `share_exceeded`, `overloaded` and
   * `control_plane_draining` while it waits
   */
  async create(
    owner: string,
    name: string,
    spec: SessionSpec,
    options: CreateOptions = {},
  ): Promise<Session> {
    const session = await this.#placement.reserve(owner, spec, options, (instanceId) =>
      this.#insert({ owner, name, spec, instanceId }),
    );
    const { store } = this.#context;
    let lobbyId: string;
    try {
      lobbyId = await this.#createLobby(session, options.signal);
    } catch (cause) {
      this.#creating.delete(session.id);
      this.#failed(session, toError(cause));
      throw cause;
    }
    this.#creating.delete(session.id);
    if (session.state === "stopping" || store.get(session.id) === undefined) {
      // Deleted while Wolf created the lobby: the deletion finds it now.
      if (store.get(session.id) === undefined) this.reconcile(session.instanceId);
      else {
        store.update(session, { lobbyId });
        await this.remove(session);
      }
      throw new HelixError("session_unknown", `session ${session.id} was deleted while it was created`);
    }
    store.update(session, { lobbyId, state: "running" });
    this.#emit("session-created", session);
    return session;
  }

  /** @returns false if the instance cannot be reached now: the lobby is stopped when it can */
  async remove(session: Session): Promise<boolean> {
    const { store, instances, lobbies, log } = this.#context;
    const { id, instanceId } = session;
    if (session.state !== "stopping") store.update(session, { state: "stopping", reason: "deleted" });
    // Whatever Wolf does: the session can no longer be reached, and its sandbox cannot reconnect.
    this.#context.access.close(id);
    if (this.#creating.has(id) || !instances.isOnline(instanceId)) return false;
    try {
      if (session.lobbyId === undefined) await this.#reconciler.run(instanceId);
      else {
        await lobbies(instanceId).stop(session.lobbyId);
        this.#end(session, "deleted");
      }
    } catch (error) {
      const reason = toError(error).message;
      log.warn({ session: id, reason }, "lobby not stopped yet; will retry");
      this.reconcile(instanceId);
    }
    return store.get(id) === undefined;
  }

  /** Compares the instance's sessions with its lobbies: it has connected, or the state of a session is uncertain. */
  reconcile(instanceId: string): void {
    // Also if the store has no session on it: a lost or restored store may have known lobbies that are there.
    this.#reconciler.request(instanceId);
  }

  /** There may be more capacity: an instance has connected, or reports more. */
  capacityChanged(): void {
    this.#placement.changed();
  }

  /** The instance did not reconnect within its grace. */
  instanceLost(instanceId: string): void {
    this.#placement.changed(); // creations no longer wait for it
    for (const session of this.#context.store.onInstance(instanceId)) {
      if (session.state !== "running") continue;
      this.#context.store.update(session, { state: "lost", reason: "its instance is not connected" });
      this.#emit("session-lost", session);
    }
  }

  /** An operator has removed the instance: its sessions have ended. */
  instanceRemoved(instanceId: string): void {
    this.#placement.changed();
    for (const session of this.#context.store.onInstance(instanceId)) {
      this.#end(session, "its instance was removed");
    }
  }

  #checkAll(): void {
    const { instances } = this.#context;
    for (const { id } of instances.list()) if (instances.isOnline(id)) this.#reconciler.request(id);
  }

  #insert(fields: Pick<Session, "owner" | "name" | "spec" | "instanceId">): Session {
    const now = Date.now();
    const session: Session = {
      ...fields,
      id: newSessionId(),
      lobbyId: undefined,
      lobbyPin: undefined,
      state: "creating",
      reason: undefined,
      createdAtMs: now,
      updatedAtMs: now,
    };
    this.#context.store.insert(session);
    this.#creating.add(session.id); // at once: a comparison may begin in the same turn
    return session;
  }

  async #compare(instanceId: string): Promise<void> {
    const { lobbies, log, store, storeId } = this.#context;
    await compareLobbies(instanceId, {
      store,
      storeId,
      lobbies,
      log,
      isCreating: (id) => this.#creating.has(id),
      end: (session, reason) => this.#end(session, reason),
      emit: (type, session) => this.#emit(type, session),
    });
  }

  /** On its instance, or on the next best if the Wolf of that one has certainly not seen the request. */
  async #createLobby(session: Session, signal: AbortSignal | undefined): Promise<string> {
    const { store, log } = this.#context;
    const tried = new Set<string>();
    for (;;) {
      try {
        return await this.#askWolf(session);
      } catch (cause) {
        const { instanceId, id, state, spec } = session;
        const mayMove = isNotSent(cause) && !NOT_OF_THE_INSTANCE.has(cause.code) && state === "creating";
        if (!mayMove || store.get(id) === undefined || signal?.aborted === true) throw cause;
        tried.add(instanceId);
        const choice = tried.size < CREATE_ATTEMPTS ? this.#placement.choose(spec, tried) : undefined;
        if (choice === undefined || !("id" in choice)) throw cause;
        log.warn(
          { session: id, instance: instanceId, next: choice.id, reason: cause.message },
          "could not reach the instance to create a session; trying the next one",
        );
        store.update(session, { instanceId: choice.id });
        this.#placement.changed();
      }
    }
  }

  async #askWolf({ id, instanceId, spec }: Session): Promise<string> {
    const { instances, lobbies, agentUrl, defaultImage, storeId } = this.#context;
    const secret = this.#context.access.issueToken(id);
    return lobbies(instanceId).create({
      sessionId: id,
      image: spec.image ?? defaultImage,
      width: spec.width,
      height: spec.height,
      refreshRate: spec.refreshRate,
      renderNode: instances.get(instanceId).renderNode ?? "SOFTWARE",
      environment: {
        HELIX_SESSION_ID: id,
        USER_API_TOKEN: secret,
        [MADE_BY_VARIABLE]: storeId,
        ...(agentUrl !== undefined && { HELIX_API_URL: agentUrl }),
      },
    });
  }

  #failed(session: Session, error: Error): void {
    const { store, log } = this.#context;
    if (store.get(session.id) === undefined) return;
    if (isNotSent(error)) return this.#end(session, error.message);
    store.update(session, { state: "stopping", reason: "no response to its creation" });
    log.warn(
      { session: session.id, reason: error.message },
      "no response to the creation of a lobby; its outcome will be checked later",
    );
    this.reconcile(session.instanceId);
  }

  #end(session: Session, reason: string): void {
    const { store } = this.#context;
    if (store.get(session.id) === undefined) return; // deleted twice
    store.remove(session.id);
    this.#context.access.close(session.id);
    this.#context.onEvent({ type: "session-ended", session: session.id, owner: session.owner, reason });
    this.#placement.changed();
  }

  #emit(type: "session-created" | "session-lost" | "session-back", session: Session): void {
    this.#context.onEvent({ type, session: session.id, owner: session.owner, instance: session.instanceId });
  }
}

function isNotSent(error: unknown): error is TurnaboutError {
  return error instanceof TurnaboutError && NOT_SENT.has(error.code);
}
