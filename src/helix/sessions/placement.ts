/** Where a session goes: the choice of an instance, and the wait for one. */
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_WAIT_MS } from "../../control/extension.ts";
import type { Release, Shares } from "../../control/extension.ts";
import { HelixError } from "../errors.ts";
import type { Instances } from "../instances/instances.ts";
import { isNearlyFull } from "../instances/usage.ts";
import type { SessionSpec, SessionStore } from "../store/sessions.ts";
import { CapacityQueue } from "./capacity-queue.ts";
import { chooseInstance } from "./scheduler.ts";
import type { Choice } from "./scheduler.ts";

export interface CreateOptions {
  /** How long the caller waits for an instance or for capacity. Default 0: only for an instance that is expected back. */
  waitMs?: number | undefined;
  /** Aborted when the caller disconnects: it waits no longer. What has been requested of Wolf continues. */
  signal?: AbortSignal | undefined;
  /** Maximum number of the owner's sessions, this one included. Default: no limit. */
  maxOwned?: number | undefined;
  /** Whose share of the waiting creations it takes. Default: the owner's. */
  holder?: string | undefined;
  /** Checked again after each wait. False: the credential was revoked meanwhile. */
  mayCreate?: (() => boolean) | undefined;
}

export interface PlacementContext {
  store: SessionStore;
  instances: Instances;
  /** How long a creation waits for an instance that is expected back. */
  awaitMs: number;
  /** Of the creations that wait. */
  waitingCreations: Shares;
}

export class Placement {
  readonly #context: PlacementContext;
  readonly #queue = new CapacityQueue();

  constructor(context: PlacementContext) {
    this.#context = context;
  }

  /** An instance or capacity may have become free, or is no longer awaited. */
  changed(): void {
    this.#queue.changed();
  }

  /** Refuses all creations that wait, and all that would. */
  close(): void {
    this.#queue.close();
  }

  /**
   * Chooses an instance, or waits for one.
   *
   * @param take called in the same turn as the choice: it has to take the place, so that a place is given once
   * @throws TurnaboutError or HelixError, for which reason there is no instance
   */
  async reserve<T>(
    owner: string,
    spec: SessionSpec,
    { waitMs = 0, signal, maxOwned = Infinity, holder = `user ${owner}`, mayCreate }: CreateOptions,
    take: (instanceId: string) => T,
  ): Promise<T> {
    const startedAt = performance.now();
    const cappedMs = Math.min(waitMs, MAX_WAIT_MS);
    let release: Release | undefined;
    try {
      for (;;) {
        this.#checkOwned(owner, maxOwned);
        const choice = this.choose(spec);
        if ("id" in choice) return take(choice.id);
        const boundMs = choice.awaited ? Math.max(cappedMs, this.#context.awaitMs) : cappedMs;
        const leftMs = startedAt + boundMs - performance.now();
        if (leftMs <= 0) throw new HelixError(choice.reason, `create session: ${choice.reason}`);
        release ??= this.#context.waitingCreations.take(holder);
        await this.#queue.next(leftMs, signal);
        if (mayCreate?.() === false) {
          throw new TurnaboutError(
            "unauthenticated",
            "create session: the credential was revoked while the request waited",
          );
        }
      }
    } finally {
      release?.();
    }
  }

  choose(spec: SessionSpec, without: ReadonlySet<string> = new Set()): Choice {
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

  #checkOwned(owner: string, maxOwned: number): void {
    const owned = this.#context.store.list().filter((session) => session.owner === owner).length;
    if (owned < maxOwned) return;
    throw new HelixError("too_many_sessions", `create session: ${owner} has ${owned} sessions`, {
      details: [`${maxOwned} sessions at once are allowed`],
    });
  }
}
