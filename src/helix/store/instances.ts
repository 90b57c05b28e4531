/** Wolf instances: capacity, GPU and disk. Whether one is online is not stored: the tunnel knows. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import { choice, integer, json, optionalInteger, optionalText, text } from "../../control/extension.ts";
import type { Row } from "../../control/extension.ts";
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

export class InstanceStore {
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #byId: StatementSync;
  readonly #all: StatementSync;

  constructor(database: DatabaseSync) {
    this.#put = database.prepare(
      `INSERT OR REPLACE INTO instances (id, name, max_sandboxes, gpu_vendor, render_node, privileged, desktop_versions,
         disk_usage, container_usage, disk_alert, disk_reported_at, gpus, gpu_alert, gpus_reported_at,
         boot_epoch_ms, last_heartbeat, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#remove = database.prepare("DELETE FROM instances WHERE id = ?");
    this.#byId = database.prepare("SELECT * FROM instances WHERE id = ?");
    this.#all = database.prepare("SELECT * FROM instances ORDER BY created_at, id");
  }

  put(instance: Instance): void {
    instance.updatedAtMs = Date.now();
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

  remove(id: string): void {
    this.#remove.run(id);
  }

  get(id: string): Instance | undefined {
    const row = this.#byId.get(id);
    return row === undefined ? undefined : fromRow(row);
  }

  list(): Instance[] {
    return this.#all.all().map(fromRow);
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
