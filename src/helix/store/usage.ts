/** What an instance reports of its disks, GPUs and containers: types and schemas. */
import { z } from "@hono/zod-openapi";

/** Of an instance's disks, or of its GPUs' memory. */
export type AlertLevel = "ok" | "warning" | "critical";

export interface DiskUsage {
  mount_point: string;
  total_bytes: number;
  used_bytes: number;
  avail_bytes: number;
  used_percent: number;
}

/** Of one GPU, as far as its host reports. Helix's names where it has one; memory in bytes. */
export interface GpuUsage {
  index: number;
  model_name: string | null;
  vendor: string | null;
  total_memory: number | null;
  used_memory: number | null;
  /** Of its memory. */
  used_percent: number | null;
  utilization_percent: number | null;
  temperature_celsius: number | null;
}

export interface ContainerUsage {
  container_id: string;
  container_name: string;
  size_bytes: number;
  rw_size_bytes: number;
}

const amount = z.number().nonnegative();
const percent = z.number().openapi({ description: "0 to 100; a value outside is clamped" });

export const alertLevel: z.ZodType<AlertLevel> = z.enum(["ok", "warning", "critical"]);

export const diskUsage: z.ZodType<DiskUsage> = z.object({
  mount_point: z.string().max(500),
  total_bytes: amount,
  used_bytes: amount,
  avail_bytes: amount,
  used_percent: percent,
});

export const gpuUsage: z.ZodType<GpuUsage> = z.object({
  index: z.number(),
  model_name: z.string().nullable(),
  vendor: z.string().nullable(),
  total_memory: z.number().nullable(),
  used_memory: z.number().nullable(),
  used_percent: z.number().nullable(),
  utilization_percent: z.number().nullable(),
  temperature_celsius: z.number().nullable(),
});

export const containerUsage: z.ZodType<ContainerUsage> = z.object({
  container_id: z.string().max(200),
  container_name: z.string().max(500),
  size_bytes: amount,
  rw_size_bytes: amount,
});
