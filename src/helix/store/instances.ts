/** Wolf instances: capacity, GPU and disk. Whether one is online is not stored: the tunnel knows. */
import { z } from "zod";
import {
  choice,
  integer,
  json,
  optionalInteger,
  optionalText,
  readRows,
  text,
} from "../../control/extension.ts";
import type { ExtensionStore, Row, Statement } from "../../control/extension.ts";
import { alertLevel, containerUsage, diskUsage, gpuUsage } from "./usage.ts";
import type { AlertLevel, ContainerUsage, DiskUsage, GpuUsage } from "./usage.ts";

const desktopVersions: z.ZodType<Record<string, string>> = z.record(z.string(), z.string());

export interface Instance {
  id: string;
  name: string;
  maxSandboxes: number;
  gpuVendor: string | undefined;
  renderNode: string | undefined;
  privileged: boolean;
  desktopVersions: Record<string, string>;
  diskUsage: DiskUsage[];
  containerUsage: ContainerUsage[];
  diskAlert: AlertLevel;
  /** When the disks were last reported; a heartbeat need not. */
  diskReportedAtMs: number | undefined;
  gpus: GpuUsage[];
  gpuAlert: AlertLevel;
  gpusReportedAtMs: number | undefined;
  /** Start of the agent process that was last seen: a reconnect keeps it, a restart does not. */
  bootEpochMs: number;
  lastHeartbeatMs: number | undefined;
  createdAtMs: number;
  updatedAtMs: number;
}

/** Read once and kept in memory: each placement of a session looks at all of them. */
export class InstanceStore {
  readonly #store: ExtensionStore;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #instances = new Map<string, Instance>();

  /** @throws TurnaboutError `config_invalid` for a row that is not valid */
  constructor(store: ExtensionStore) {
    this.#store = store;
    this.#put = store.prepare(
      `INSERT OR REPLACE INTO instances (id, name, max_sandboxes, gpu_vendor, render_node, privileged, desktop_versions,
         disk_usage, container_usage, disk_alert, disk_reported_at, gpus, gpu_alert, gpus_reported_at,
         boot_epoch_ms, last_heartbeat, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#delete = store.prepare("DELETE FROM instances WHERE id = ?");
    const all = store.prepare("SELECT * FROM instances ORDER BY created_at, id");
    const read = (): void => this.#read(readRows("instances", all.all(), fromRow));
    read();
    store.onReload(read);
    store.onRecreate(() => {
      for (const id of this.#instances.keys()) this.#write(id);
    });
  }

  /** Counts at once, and is saved as soon as possible: its agent reports it again. */
  put(instance: Instance): void {
    instance.updatedAtMs = Date.now();
    this.#instances.set(instance.id, instance);
    this.#save(instance.id);
  }

  /** Counts at once, as {@link put}. */
  remove(id: string): void {
    this.#instances.delete(id);
    this.#save(id);
  }

  get(id: string): Instance | undefined {
    return this.#instances.get(id);
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Oldest first. */
  list(): Instance[] {
    return [...this.#instances.values()];
  }

  /** Rows as they are now, but for what is not saved yet. What others hold of a instance stays valid. */
  #read(rows: readonly Instance[]): void {
    const found = new Map(rows.map((row) => [row.id, row]));
    for (const id of this.#instances.keys())
      if (!found.has(id) && !this.#isUnsaved(id)) this.#instances.delete(id);
    for (const [id, row] of found) {
      if (this.#isUnsaved(id)) continue;
      this.#instances.set(id, Object.assign(this.#instances.get(id) ?? row, row));
    }
  }

  #isUnsaved(id: string): boolean {
    return this.#store.isUnsaved(`instance ${id}`);
  }

  #save(id: string): void {
    this.#store.save(`instance ${id}`, () => this.#write(id));
  }

  /** What memory has of this instance, to its row. */
  #write(id: string): void {
    const instance = this.#instances.get(id);
    if (instance === undefined) return void this.#delete.run(id);
    this.#put.run(
      instance.id,
      instance.name,
      instance.maxSandboxes,
      instance.gpuVendor ?? null,
      instance.renderNode ?? null,
      instance.privileged ? 1 : 0,
      JSON.stringify(instance.desktopVersions),
      JSON.stringify(instance.diskUsage),
      JSON.stringify(instance.containerUsage),
      instance.diskAlert,
      instance.diskReportedAtMs ?? null,
      JSON.stringify(instance.gpus),
      instance.gpuAlert,
      instance.gpusReportedAtMs ?? null,
      instance.bootEpochMs,
      instance.lastHeartbeatMs ?? null,
      instance.createdAtMs,
      instance.updatedAtMs,
    );
  }
}

function fromRow(row: Row): Instance {
  return {
    id: text(row, "id"),
    name: text(row, "name"),
    maxSandboxes: integer(row, "max_sandboxes"),
    gpuVendor: optionalText(row, "gpu_vendor"),
    renderNode: optionalText(row, "render_node"),
    privileged: integer(row, "privileged") === 1,
    desktopVersions: json(row, "desktop_versions", desktopVersions),
    diskUsage: json(row, "disk_usage", z.array(diskUsage)),
    containerUsage: json(row, "container_usage", z.array(containerUsage)),
    diskAlert: choice(row, "disk_alert", alertLevel),
    diskReportedAtMs: optionalInteger(row, "disk_reported_at"),
    gpus: json(row, "gpus", z.array(gpuUsage)),
    gpuAlert: choice(row, "gpu_alert", alertLevel),
    gpusReportedAtMs: optionalInteger(row, "gpus_reported_at"),
    bootEpochMs: integer(row, "boot_epoch_ms"),
    lastHeartbeatMs: optionalInteger(row, "last_heartbeat"),
    createdAtMs: integer(row, "created_at"),
    updatedAtMs: integer(row, "updated_at"),
  };
}
