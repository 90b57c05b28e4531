/** Wolf instances: they register themselves by connecting; a heartbeat only adds what the tunnel cannot know. */
import { TurnaboutError } from "../../wire/errors.ts";
import type { Registry } from "../registry.ts";
import type { ContainerUsage, DiskAlert, DiskUsage, Instance, InstanceStore } from "../store/instances.ts";
import { wolfRunner } from "./ids.ts";
import type { Presence } from "./scheduler.ts";

const WOLF_TARGET = "wolf";

/** Places of an instance that has not said how many it has (Helix's figure for those that register themselves). */
const DEFAULT_MAX_SANDBOXES = 20;

/** Disk alerts, in percent used. */
const WARNING_PERCENT = 80;
const CRITICAL_PERCENT = 95;

/** Instances that are known: each is looked at when a session is placed. */
const MAX_INSTANCES = 10_000;

export interface Heartbeat {
  max_sandboxes?: number | null | undefined;
  desktop_versions?: Record<string, string> | null | undefined;
  disk_usage?: DiskUsage[] | null | undefined;
  container_usage?: ContainerUsage[] | null | undefined;
  privileged_mode_enabled?: boolean | null | undefined;
  gpu_vendor?: string | null | undefined;
  render_node?: string | null | undefined;
}

export class Instances {
  readonly #store: InstanceStore;
  readonly #registry: Registry;

  constructor(store: InstanceStore, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
  }

  list(): Instance[] {
    return this.#store.list();
  }

  /** @throws TurnaboutError `instance_unknown` */
  get(id: string): Instance {
    const instance = this.#store.get(id);
    if (instance === undefined) throw new TurnaboutError("instance_unknown", `instance ${id} is not known`);
    return instance;
  }

  isOnline(id: string): boolean {
    return this.presence(id) === "online";
  }

  presence(id: string): Presence {
    const runner = wolfRunner(id);
    if (this.#registry.pick(runner) !== undefined) return "online";
    const state = this.#registry.state(runner);
    // Connected without a usable connection: all of them drain, and the agent is about to come back.
    return state === "reconnecting" || state === "connected" ? "reconnecting" : "offline";
  }

  /** False where its agent has no such target, or could not reach Wolf the last time. */
  isHealthy(id: string): boolean {
    const view = this.#registry.view(wolfRunner(id));
    const hasWolf = view?.info?.targets.some(({ name }) => name === WOLF_TARGET) === true;
    return hasWolf && !view.unhealthy.has(WOLF_TARGET);
  }

  /** Its agent has connected. @returns whether its process has started anew since it was last seen */
  connected(id: string, bootEpochMs: number): { restarted: boolean } {
    const known = this.#store.get(id);
    if (known === undefined && this.#store.list().length >= MAX_INSTANCES) return { restarted: false };
    const restarted = known !== undefined && known.bootEpochMs !== 0 && known.bootEpochMs !== bootEpochMs;
    this.#store.put({ ...(known ?? newInstance(id)), bootEpochMs });
    return { restarted };
  }

  /** Absent fields keep what was said before. @throws TurnaboutError `instance_unknown` */
  heartbeat(id: string, beat: Heartbeat): Instance {
    const known = this.get(id);
    // Rounding goes a little over: no reason to refuse all the rest.
    const diskUsage =
      beat.disk_usage?.map((disk) => ({
        ...disk,
        used_percent: Math.min(100, Math.max(0, disk.used_percent)),
      })) ?? known.diskUsage;
    const instance: Instance = {
      ...known,
      maxSandboxes: beat.max_sandboxes ?? known.maxSandboxes,
      desktopVersions: beat.desktop_versions ?? known.desktopVersions,
      diskUsage,
      diskAlert: diskAlert(diskUsage),
      containerUsage: beat.container_usage ?? known.containerUsage,
      privileged: beat.privileged_mode_enabled ?? known.privileged,
      gpuVendor: beat.gpu_vendor ?? known.gpuVendor,
      renderNode: beat.render_node ?? known.renderNode,
      lastHeartbeatMs: Date.now(),
    };
    this.#store.put(instance);
    return instance;
  }

  /** @throws TurnaboutError `instance_unknown` */
  remove(id: string): void {
    this.get(id);
    this.#store.remove(id);
  }
}

/** The worst mount decides. */
function diskAlert(usage: readonly DiskUsage[]): DiskAlert {
  const worst = Math.max(0, ...usage.map(({ used_percent }) => used_percent));
  if (worst >= CRITICAL_PERCENT) return "critical";
  return worst >= WARNING_PERCENT ? "warning" : "ok";
}

function newInstance(id: string): Instance {
  const now = Date.now();
  return {
    id,
    name: `Wolf ${id}`,
    maxSandboxes: DEFAULT_MAX_SANDBOXES,
    gpuVendor: undefined,
    renderNode: undefined,
    privileged: false,
    desktopVersions: {},
    diskUsage: [],
    containerUsage: [],
    diskAlert: "ok",
    bootEpochMs: 0,
    lastHeartbeatMs: undefined,
    createdAtMs: now,
    updatedAtMs: now,
  };
}
