/**
 * Sessions: placed on an instance, created as a lobby through the tunnel, stopped again. A place is taken by the row
 * itself, before anything is awaited, so that parallel creations never over-commit; what became of a creation whose
 * answer was lost is settled by looking at the instance's lobbies when it is reached again.
 */
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { HelixError } from "../errors.ts";
import type { Logger } from "../../wire/log.ts";
import { MAX_WAIT_MS } from "../../control/extension.ts";
import type { Session, SessionSpec, SessionStore } from "../store/sessions.ts";
import { newSessionId } from "../ids.ts";
import type { Instances } from "../instances/instances.ts";
import { MADE_BY_VARIABLE } from "./lobbies.ts";
import type { Lobbies, Lobby } from "./lobbies.ts";
import { chooseInstance } from "./scheduler.ts";
import type { Choice } from "./scheduler.ts";
import { Reconciler } from "./reconciler.ts";
import { isNearlyFull } from "../instances/usage.ts";
import { CapacityQueue } from "./capacity-queue.ts";
import type { SandboxAccess } from "./sandbox-access.ts";

export type SessionEvent =
  | { type: "session-created"; session: string; owner: string; instance: string }
  | { type: "session-lost"; session: string; owner: string; instance: string }
  | { type: "session-back"; session: string; owner: string; instance: string }
  | { type: "session-ended"; session: string; owner: string; reason: string };

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
  log: Logger;
  onEvent: (event: SessionEvent) => void;
}

/** Errors after which Wolf has certainly not seen the request. Its own "no" is not one: it may have given up waiting. */
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
]);

/** Instances that a creation is tried on, one after the other, where the one before has surely not seen it. */
const CREATE_ATTEMPTS = 3;

/** How often the lobbies of an instance are compared without a reason: Wolf may start anew behind an agent that stays. */
const CHECK_MS = 60_000;

export interface CreateOptions {
  /** How long the caller waits for an instance or a place. Default 0: only for an instance that is expected back. */
  waitMs?: number | undefined;
  /** The caller has gone: it waits no longer. What Wolf has been asked for goes on. */
  signal?: AbortSignal | undefined;
  /** Sessions that the owner may have, this one included. Default: any number. */
  maxOwned?: number | undefined;
  /** Asked again after each wait. False: its credential has been revoked meanwhile. */
  mayCreate?: (() => boolean) | undefined;
}

export class Sessions {
  readonly #context: SessionsContext;
  readonly #vacancies = new CapacityQueue();
  /** Creations of this process that wait for Wolf: a comparison leaves them alone. */
  readonly #creating = new Set<string>();
  readonly #settling: Reconciler;
  readonly #checkTimer: NodeJS.Timeout;

  constructor(context: SessionsContext) {
    this.#context = context;
    this.#settling = new Reconciler({
      task: (instanceId) => this.#compare(instanceId),
      worthRetrying: (instanceId) => context.instances.isOnline(instanceId),
      onFailure: (instance, error) => {
        const reason = toError(error).message;
        context.log.warn(
          { instance, reason },
          "sessions could not be compared with the instance's lobbies yet",
        );
      },
    });
    this.#checkTimer = setInterval(() => this.#checkAll(), CHECK_MS);
    this.#checkTimer.unref();
    this.#recover();
  }

  /** Nobody waits for an instance any more. */
  drain(): void {
    this.#vacancies.close();
  }

  /** No timer stays behind. */
  close(): void {
    this.drain();
    clearInterval(this.#checkTimer);
    this.#settling.close();
  }

  /**
   * @throws HelixError `no_instance_online`, `no_instance_matches`, `instances_full`, `too_many_sessions`, `wolf_failed`
   * @throws TurnaboutError why Wolf could not be reached; `aborted`, `overloaded` and `control_plane_draining` while it
   * waits
   */
  async create(
    owner: string,
    name: string,
    spec: SessionSpec,
    options: CreateOptions = {},
  ): Promise<Session> {
    const session = await this.#reserve(owner, name, spec, options);
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
      // Deleted while Wolf was at it: the deletion finds the lobby now.
      if (store.get(session.id) === undefined) this.settle(session.instanceId);
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

  /** @returns false if the instance cannot be reached now: the lobby is stopped when it is back */
  async remove(session: Session): Promise<boolean> {
    const { store, instances, lobbies, log } = this.#context;
    const { id, instanceId } = session;
    if (session.state !== "stopping") store.update(session, { state: "stopping", reason: "deleted" });
    // Whatever happens to Wolf: nobody reaches the session any more, and its sandbox cannot come back.
    this.#context.access.close(id);
    if (this.#creating.has(id) || !instances.isOnline(instanceId)) return false;
    try {
      if (session.lobbyId === undefined) await this.#settling.run(instanceId);
      else {
        await lobbies(instanceId).stop(session.lobbyId);
        this.#end(session, "deleted");
      }
    } catch (error) {
      const reason = toError(error).message;
      log.warn({ session: id, reason }, "lobby not stopped yet; trying again");
      this.settle(instanceId);
    }
    return store.get(id) === undefined;
  }

  /** The instance has connected, or something about it is unsettled: its lobbies say what is true. */
  settle(instanceId: string): void {
    // Also where the store has no session of it: lobbies may be there that only a lost or restored store knew of.
    this.#settling.wish(instanceId);
  }

  /** There may be a place where there was none: an instance has connected, or says that it has more. */
  vacancy(): void {
    this.#vacancies.changed();
  }

  /** The instance has vanished past its grace. */
  instanceGone(instanceId: string): void {
    this.#vacancies.changed(); // nobody waits for it any longer
    for (const session of this.#context.store.onInstance(instanceId)) {
      if (session.state !== "running") continue;
      this.#context.store.update(session, { state: "lost", reason: "its instance is not connected" });
      this.#emit("session-lost", session);
    }
  }

  /** The instance is not expected back: nor are its sessions. */
  instanceForgotten(instanceId: string): void {
    this.#vacancies.changed();
    for (const session of this.#context.store.onInstance(instanceId)) {
      this.#end(session, "its instance was removed");
    }
  }

  /** What a process that was killed has left half done. */
  #recover(): void {
    const { store, access } = this.#context;
    access.revokeOthers((session) => store.get(session) !== undefined);
  }

  #checkAll(): void {
    const { instances } = this.#context;
    for (const { id } of instances.list()) if (instances.isOnline(id)) this.#settling.wish(id);
  }

  async #reserve(
    owner: string,
    name: string,
    spec: SessionSpec,
    { waitMs = 0, signal, maxOwned = Infinity, mayCreate }: CreateOptions,
  ): Promise<Session> {
    const startedAt = performance.now();
    const cappedMs = Math.min(waitMs, MAX_WAIT_MS);
    for (;;) {
      const owned = this.#context.store.list().filter((session) => session.owner === owner).length;
      if (owned >= maxOwned) {
        throw new HelixError("too_many_sessions", `create session: ${owner} has ${owned} sessions`, {
          details: [`${maxOwned} sessions at once are allowed`],
        });
      }
      const choice = this.#choose(spec);
      // Nothing is awaited between the choice and the row: a place is given once.
      if ("id" in choice) return this.#insert(owner, name, spec, choice.id);
      const boundMs = choice.awaited ? Math.max(cappedMs, this.#context.awaitMs) : cappedMs;
      const leftMs = startedAt + boundMs - performance.now();
      if (leftMs <= 0) throw new HelixError(choice.reason, `create session: ${choice.reason}`);
      await this.#vacancies.next(leftMs, signal);
      if (mayCreate?.() === false) {
        throw new TurnaboutError("unauthenticated", "create session: the credential was revoked meanwhile");
      }
    }
  }

  #choose(spec: SessionSpec, without: ReadonlySet<string> = new Set()): Choice {
    const { store, instances } = this.#context;
    const taken = new Map<string, number>();
    for (const { instanceId } of store.list()) taken.set(instanceId, (taken.get(instanceId) ?? 0) + 1);
    const candidates = instances.list().filter(({ id }) => !without.has(id));
    const nowMs = Date.now();
    return chooseInstance(
      candidates.map((instance) => ({
        instance,
        presence: instances.presence(instance.id),
        healthy: instances.isHealthy(instance.id),
        nearlyFull: isNearlyFull(instance, nowMs),
        taken: taken.get(instance.id) ?? 0,
      })),
      spec,
    );
  }

  #insert(owner: string, name: string, spec: SessionSpec, instanceId: string): Session {
    const now = Date.now();
    const session: Session = {
      id: newSessionId(),
      owner,
      name,
      instanceId,
      lobbyId: undefined,
      lobbyPin: undefined,
      state: "creating",
      reason: undefined,
      spec,
      createdAtMs: now,
      updatedAtMs: now,
    };
    this.#context.store.insert(session);
    this.#creating.add(session.id); // at once: a comparison may begin before anybody has seen this session
    return session;
  }

  /** On its instance, or on the next best where that one's Wolf has surely not seen the request. */
  async #createLobby(session: Session, signal: AbortSignal | undefined): Promise<string> {
    const { store, log } = this.#context;
    const tried = new Set<string>();
    for (;;) {
      try {
        return await this.#askWolf(session);
      } catch (cause) {
        const { instanceId, id, state, spec } = session;
        const mayMove = isNotSent(cause) && cause.code !== "control_plane_draining" && state === "creating";
        if (!mayMove || store.get(id) === undefined || signal?.aborted === true) throw cause;
        tried.add(instanceId);
        const choice = tried.size < CREATE_ATTEMPTS ? this.#choose(spec, tried) : undefined;
        if (choice === undefined || !("id" in choice)) throw cause;
        log.warn(
          { session: id, instance: instanceId, next: choice.id, reason: cause.message },
          "instance could not be asked for a session; trying the next one",
        );
        store.update(session, { instanceId: choice.id });
        this.#vacancies.changed();
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
    store.update(session, { state: "stopping", reason: "its creation was not answered" });
    log.warn(
      { session: session.id, reason: error.message },
      "lobby creation not answered; settling it later",
    );
    this.settle(session.instanceId);
  }

  /** Sessions against lobbies, both ways. @throws Error if Wolf could not be asked, or did not do as it was told */
  async #compare(instanceId: string): Promise<void> {
    const { store } = this.#context;
    // Only sessions that were there before the list was asked for can be judged by it.
    const before = store.onInstance(instanceId).filter(({ id }) => !this.#creating.has(id));
    const lobbies = this.#context.lobbies(instanceId);
    const found = await lobbies.list();
    const failures: Error[] = [];
    const attempt = async (work: Promise<void>): Promise<void> => {
      await work.catch((error: unknown) => void failures.push(toError(error)));
    };
    for (const session of before) {
      const lobby = found.find(({ id, name }) => id === session.lobbyId || name === session.id);
      await attempt(this.#judge(session, lobby, lobbies));
    }
    for (const lobby of found) if (this.#isOrphan(lobby)) await attempt(this.#stopOrphan(lobby, lobbies));
    const [first] = failures;
    if (first !== undefined) throw first;
  }

  async #judge(session: Session, lobby: Lobby | undefined, lobbies: Lobbies): Promise<void> {
    const { store, log } = this.#context;
    if (store.get(session.id) === undefined) return;
    const isStopping = session.state === "stopping";
    if (lobby === undefined) {
      return this.#end(session, (isStopping ? session.reason : undefined) ?? "its lobby is gone");
    }
    if (isStopping) {
      await lobbies.stop(lobby.id);
      return this.#end(session, session.reason ?? "deleted");
    }
    if (session.state === "running") return;
    const wasLost = session.state === "lost";
    store.update(session, { lobbyId: lobby.id, state: "running", reason: undefined });
    this.#emit(wasLost ? "session-back" : "session-created", session);
    log.info(
      { session: session.id, instance: session.instanceId },
      wasLost ? "session is back" : "session adopted",
    );
  }

  /** Made by us for a session that has ended: Wolf was still at it when its list was looked at. */
  #isOrphan({ name, madeBy }: Lobby): boolean {
    return madeBy === this.#context.storeId && this.#context.store.get(name) === undefined;
  }

  async #stopOrphan({ id, name }: Lobby, lobbies: Lobbies): Promise<void> {
    this.#context.log.warn({ session: name, lobby: id }, "stopping a lobby whose session has ended");
    await lobbies.stop(id);
  }

  #end(session: Session, reason: string): void {
    const { store } = this.#context;
    if (store.get(session.id) === undefined) return; // two deletions at once
    store.remove(session.id);
    this.#context.access.close(session.id);
    this.#context.onEvent({ type: "session-ended", session: session.id, owner: session.owner, reason });
    this.#vacancies.changed();
  }

  #emit(type: "session-created" | "session-lost" | "session-back", session: Session): void {
    this.#context.onEvent({ type, session: session.id, owner: session.owner, instance: session.instanceId });
  }
}

function isNotSent(error: unknown): error is TurnaboutError {
  return error instanceof TurnaboutError && NOT_SENT.has(error.code);
}
