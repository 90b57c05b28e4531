/** Wolf instances: they register themselves by connecting; a heartbeat only adds what the tunnel cannot know. */
import { HelixError } from "../errors.ts";
import type { Logger } from "../../wire/log.ts";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import type { ExtensionRunners } from "../../control/extension.ts";
import type { Instance, InstanceStore } from "../store/instances.ts";
import type { ContainerUsage, DiskUsage, GpuUsage } from "../store/usage.ts";
import { wolfRunner } from "../ids.ts";
import { alertLevel, fullest, isCurrent, rises } from "./usage.ts";

const WOLF_TARGET = "wolf";

/** Places of an instance that has not reported how many it has (Helix's figure for those that register themselves). */
const DEFAULT_MAX_SANDBOXES = 20;

/** Instances that are known: each is looked at when a session is placed. */
const MAX_INSTANCES = 10_000;

export interface Heartbeat {
  max_sandboxes?: number | null | undefined;
  desktop_versions?: Record<string, string> | null | undefined;
  disk_usage?: DiskUsage[] | null | undefined;
  gpus?: GpuUsage[] | null | undefined;
  container_usage?: ContainerUsage[] | null | undefined;
  privileged_mode_enabled?: boolean | null | undefined;
  gpu_vendor?: string | null | undefined;
  render_node?: string | null | undefined;
}

/** According to the tunnel; a heartbeat does not count. `reconnecting`: expected back, in its grace or after our start. */
export type Presence = "online" | "reconnecting" | "offline";

type InstanceRunners = Pick<ExtensionRunners, "isReachable" | "state" | "view">;

export class Instances {
  readonly #store: InstanceStore;
  readonly #runners: InstanceRunners;
  readonly #log: Logger;
  /** By instance: what of its heartbeats does not fit is logged once, not every 30 s. */
  readonly #reported = new ReportedProblems();

  constructor(store: InstanceStore, runners: InstanceRunners, log: Logger) {
    this.#store = store;
    this.#runners = runners;
    this.#log = log;
  }

  list(): Instance[] {
    return this.#store.list();
  }

  /** @throws HelixError `instance_unknown` */
  get(id: string): Instance {
    const instance = this.#store.get(id);
    if (instance === undefined) throw new HelixError("instance_unknown", `instance ${id} is not known`);
    return instance;
  }

  isOnline(id: string): boolean {
    return this.presence(id) === "online";
  }

  presence(id: string): Presence {
    const runner = wolfRunner(id);
    if (this.#runners.isReachable(runner)) return "online";
    const state = this.#runners.state(runner);
    // Connected without a usable connection: all of them drain, and the agent is about to come back.
    return state === "reconnecting" || state === "connected" ? "reconnecting" : "offline";
  }

  /** False where its agent has no such target, or could not reach Wolf the last time. */
  isHealthy(id: string): boolean {
    const view = this.#runners.view(wolfRunner(id));
    const hasWolf = view?.info?.targets.some(({ name }) => name === WOLF_TARGET) === true;
    return hasWolf && !view.unhealthy.has(WOLF_TARGET);
  }

  /** Its agent has connected. @returns whether its process has started anew since it was last seen */
  connected(id: string, bootEpochMs: number): { restarted: boolean } {
    const known = this.#store.get(id);
    if (known === undefined && this.#store.size >= MAX_INSTANCES) return { restarted: false };
    const restarted = known !== undefined && isRestart(known.bootEpochMs, bootEpochMs);
    this.#store.put({ ...(known ?? newInstance(id)), bootEpochMs });
    return { restarted };
  }

  /**
   * Absent fields keep their previous values.
   *
   * @param ignored what of it did not fit, for the log
   * @throws HelixError `instance_unknown`
   */
  heartbeat(id: string, beat: Heartbeat, ignored: readonly string[] = []): Instance {
    const known = this.get(id);
    const now = Date.now();
    // Rounding goes a little over: no reason to refuse all the rest.
    const diskUsage =
      beat.disk_usage?.map((disk) => ({
        ...disk,
        used_percent: Math.min(100, Math.max(0, disk.used_percent)),
      })) ?? known.diskUsage;
    const gpus = beat.gpus ?? known.gpus;
    const instance: Instance = {
      ...known,
      maxSandboxes: beat.max_sandboxes ?? known.maxSandboxes,
      desktopVersions: beat.desktop_versions ?? known.desktopVersions,
      diskUsage,
      diskAlert: alertLevel(fullest(diskUsage)?.used_percent),
      diskReportedAtMs: beat.disk_usage ? now : known.diskReportedAtMs,
      gpus,
      gpuAlert: alertLevel(fullest(gpus)?.used_percent),
      gpusReportedAtMs: beat.gpus ? now : known.gpusReportedAtMs,
      containerUsage: beat.container_usage ?? known.containerUsage,
      privileged: beat.privileged_mode_enabled ?? known.privileged,
      gpuVendor: beat.gpu_vendor ?? known.gpuVendor,
      renderNode: beat.render_node ?? known.renderNode,
      lastHeartbeatMs: now,
    };
    this.#store.put(instance);
    this.#reportIgnored(id, ignored);
    this.#sayRises(known, instance);
    return instance;
  }

  /** In percent, of the fullest disk of each instance that has reported it recently. */
  diskUsedPercents(): Record<string, number> {
    return this.#percents(({ diskUsage, diskReportedAtMs }) => [diskUsage, diskReportedAtMs]);
  }

  /** The same of its GPUs' memory. */
  gpuMemoryUsedPercents(): Record<string, number> {
    return this.#percents(({ gpus, gpusReportedAtMs }) => [gpus, gpusReportedAtMs]);
  }

  /** @throws HelixError `instance_unknown` */
  remove(id: string): void {
    this.get(id);
    this.#store.remove(id);
    this.#reported.forget(id);
  }

  #percents(
    figures: (
      instance: Instance,
    ) => [readonly { used_percent: number | null }[], reportedAtMs: number | undefined],
  ): Record<string, number> {
    const now = Date.now();
    const percents: Record<string, number> = Object.create(null) as Record<string, number>;
    for (const instance of this.#store.list()) {
      const [usage, reportedAtMs] = figures(instance);
      const percent = fullest(usage)?.used_percent;
      if (typeof percent === "number" && isCurrent(reportedAtMs, now)) percents[instance.id] = percent;
    }
    return percents;
  }

  #reportIgnored(id: string, ignored: readonly string[]): void {
    if (!this.#reported.isNew(id, ignored.join("\n"))) return;
    this.#log.warn({ instance: id, ignored }, "heartbeat: invalid fields ignored");
  }

  /** Once, when a level is reached. */
  #sayRises(before: Instance, now: Instance): void {
    if (rises(before.diskAlert, now.diskAlert)) {
      const disk = fullest(now.diskUsage);
      const fields = { mountPoint: disk?.mount_point, usedPercent: disk?.used_percent };
      this.#log.warn({ instance: now.id, alert: now.diskAlert, ...fields }, "instance: a disk is filling up");
    }
    if (rises(before.gpuAlert, now.gpuAlert)) {
      const gpu = fullest(now.gpus);
      const fields = { gpu: gpu?.index, model: gpu?.model_name, usedPercent: gpu?.used_percent };
      this.#log.warn(
        { instance: now.id, alert: now.gpuAlert, ...fields },
        "instance: GPU memory is filling up",
      );
    }
  }
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
    diskReportedAtMs: undefined,
    gpus: [],
    gpuAlert: "ok",
    gpusReportedAtMs: undefined,
    bootEpochMs: 0,
    lastHeartbeatMs: undefined,
    createdAtMs: now,
    updatedAtMs: now,
  };
}

/** 0 is unknown. */
function isRestart(before: number, now: number): boolean {
  return before !== 0 && now !== 0 && before !== now;
}
