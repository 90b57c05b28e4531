/**
 * The body of a heartbeat. A field that does not match is left out and named; the heartbeat is never refused, because
 * every other figure would be lost with it. Helix's own control plane refuses none either.
 */
import { z } from "@hono/zod-openapi";
import { parseBoundedJson } from "../../wire/messages/bounded-json.ts";
import {
  MAX_HEARTBEAT_CONTAINERS,
  MAX_HEARTBEAT_DESKTOPS,
  MAX_HEARTBEAT_DISKS,
  MAX_HEARTBEAT_GPUS,
} from "../limits.ts";
import { isObject, LenientFields } from "./lenient-fields.ts";
import type { Heartbeat } from "../instances/instances.ts";
import { containerUsage, diskUsage } from "../store/usage.ts";
import type { GpuUsage } from "../store/usage.ts";

const MIB = 1024 * 1024;

const amount = z.number().nonnegative();
const percent = z.number().openapi({ description: "0 to 100; a value outside is clamped" });

const name = z.string().max(200).nullish();

/** Every field is optional. Memory is in bytes (Helix) or MiB (Wolf), as used, as free, or only as a percentage. */
const gpuInput = z.object({
  index: z
    .number()
    .int()
    .min(0)
    .max(10_000)
    .nullish()
    .openapi({ description: "default: the position in the list" }),
  model_name: name,
  gpu_name: name,
  vendor: z.string().max(50).nullish(),
  total_memory: amount.nullish(),
  used_memory: amount.nullish(),
  free_memory: amount.nullish(),
  memory_total_mb: amount.nullish(),
  memory_used_mb: amount.nullish(),
  used_percent: percent.nullish().openapi({ description: "of its memory, if not given in bytes" }),
  utilization_percent: percent.nullish(),
  gpu_utilization_percent: percent.nullish(),
  temperature_celsius: z.number().min(-273).max(1_000).nullish(),
});

/** Unknown fields are ignored: agents of other versions send more. Go writes a missing value as null. */
const heartbeatBody = z
  .object({
    max_sandboxes: z.number().int().min(0).max(10_000).nullish(),
    desktop_versions: z
      .record(z.string().max(100), z.string().max(200))
      .refine((versions) => Object.keys(versions).length <= MAX_HEARTBEAT_DESKTOPS, "too many")
      .nullish(),
    disk_usage: z.array(diskUsage).max(MAX_HEARTBEAT_DISKS).nullish(),
    container_usage: z.array(containerUsage).max(MAX_HEARTBEAT_CONTAINERS).nullish(),
    privileged_mode_enabled: z.boolean().nullish(),
    gpu_vendor: z.string().max(50).nullish(),
    render_node: z.string().max(200).nullish(),
    gpus: z.array(gpuInput).max(MAX_HEARTBEAT_GPUS).nullish(),
    gpu_stats: gpuInput
      .extend({ available: z.boolean().nullish() })
      .nullish()
      .openapi({ description: "of one GPU, as in Wolf's /api/v1/system/memory; ignored beside `gpus`" }),
  })
  .openapi("Heartbeat");
export const heartbeatSchema: z.ZodType = heartbeatBody;

export interface HeartbeatReading {
  beat: Heartbeat;
  /** Each field that was left out, and why, without its value. */
  ignored: string[];
}

/** @param isAnnounced the request has a `Content-Type` */
export function readHeartbeat(text: string, isAnnounced: boolean): HeartbeatReading {
  const ignored: string[] = [];
  const body = parseBody(text, isAnnounced, ignored);
  const fields = new LenientFields(body, ignored);
  const { shape } = heartbeatBody;
  return {
    ignored,
    beat: {
      max_sandboxes: fields.take("max_sandboxes", shape.max_sandboxes),
      desktop_versions: fields.take("desktop_versions", shape.desktop_versions),
      disk_usage: fields.list("disk_usage", MAX_HEARTBEAT_DISKS, matching(diskUsage)),
      container_usage: fields.list("container_usage", MAX_HEARTBEAT_CONTAINERS, matching(containerUsage)),
      privileged_mode_enabled: fields.take("privileged_mode_enabled", shape.privileged_mode_enabled),
      gpu_vendor: fields.take("gpu_vendor", shape.gpu_vendor),
      render_node: fields.take("render_node", shape.render_node),
      gpus: fields.list("gpus", MAX_HEARTBEAT_GPUS, readGpu) ?? gpuOfWolf(fields),
    },
  };
}

function parseBody(text: string, isAnnounced: boolean, ignored: string[]): object {
  if (text.trim() === "") {
    if (isAnnounced) ignored.push("body: empty");
    return {};
  }
  let body: unknown;
  try {
    body = parseBoundedJson(text);
  } catch {
    ignored.push("body: not JSON");
    return {};
  }
  if (isObject(body)) return body;
  if (body !== null) ignored.push("body: not an object");
  return {};
}

function gpuOfWolf(fields: LenientFields): GpuUsage[] | undefined {
  const stats = fields.object("gpu_stats");
  if (stats === undefined || stats.take("available", z.boolean()) === false) return undefined;
  return [readGpu(stats, 0)];
}

function readGpu(fields: LenientFields, position: number): GpuUsage {
  const { shape } = gpuInput;
  const take = (key: Exclude<keyof typeof shape, "model_name" | "gpu_name" | "vendor">): number | null =>
    fields.take(key, shape[key]) ?? null;
  const total = take("total_memory") ?? inBytes(take("memory_total_mb"));
  const free = take("free_memory");
  const used =
    take("used_memory") ??
    inBytes(take("memory_used_mb")) ??
    (total !== null && free !== null ? Math.max(0, total - free) : null);
  const reported = take("used_percent");
  // nvidia-smi's "memory utilization" is the load of the memory bus, so it is not read.
  const computed = total !== null && total > 0 && used !== null ? (used / total) * 100 : null;
  return {
    index: take("index") ?? position,
    model_name:
      fields.take("model_name", shape.model_name) ?? fields.take("gpu_name", shape.gpu_name) ?? null,
    vendor: fields.take("vendor", shape.vendor) ?? null,
    total_memory: total,
    used_memory: used,
    used_percent: clamp(computed ?? reported),
    utilization_percent: clamp(take("utilization_percent") ?? take("gpu_utilization_percent")),
    temperature_celsius: take("temperature_celsius"),
  };
}

function matching<T>(schema: z.ZodType<T>): (element: LenientFields) => T | undefined {
  return (element) => element.whole(schema);
}

function inBytes(mebibytes: number | null): number | null {
  return mebibytes === null ? null : mebibytes * MIB;
}

function clamp(value: number | null): number | null {
  return value === null ? null : Math.min(100, Math.max(0, value));
}
