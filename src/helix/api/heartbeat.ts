/**
 * A heartbeat's body. What does not fit is left out and named, never a reason to refuse the rest: a heartbeat that is
 * refused for one figure loses all the others, and Helix's own never was.
 */
import { z } from "@hono/zod-openapi";
import {
  MAX_HEARTBEAT_COMPLAINTS,
  MAX_HEARTBEAT_CONTAINERS,
  MAX_HEARTBEAT_DESKTOPS,
  MAX_HEARTBEAT_DISKS,
  MAX_HEARTBEAT_GPUS,
} from "../limits.ts";
import type { Heartbeat } from "../instances/instances.ts";
import type { ContainerUsage, DiskUsage, GpuUsage } from "../store/instances.ts";

const MIB = 1024 * 1024;

const amount = z.number().nonnegative();
const percent = z.number().openapi({ description: "0 to 100; what is outside is taken as the nearer end" });

export const diskUsage: z.ZodType<DiskUsage> = z.object({
  mount_point: z.string().max(500),
  total_bytes: amount,
  used_bytes: amount,
  avail_bytes: amount,
  used_percent: percent,
});

export const containerUsage: z.ZodType<ContainerUsage> = z.object({
  container_id: z.string().max(200),
  container_name: z.string().max(500),
  size_bytes: amount,
  rw_size_bytes: amount,
});

const name = z.string().max(200).nullish();

/** Every field may be missing. Memory in bytes (Helix) or MiB (Wolf); used, or free, or only a percentage. */
const gpuInput = z.object({
  index: z
    .number()
    .int()
    .min(0)
    .max(10_000)
    .nullish()
    .openapi({ description: "default: its place in the list" }),
  model_name: name,
  gpu_name: name,
  vendor: z.string().max(50).nullish(),
  total_memory: amount.nullish(),
  used_memory: amount.nullish(),
  free_memory: amount.nullish(),
  memory_total_mb: amount.nullish(),
  memory_used_mb: amount.nullish(),
  used_percent: percent.nullish().openapi({ description: "of its memory, where that is not given in bytes" }),
  utilization_percent: percent.nullish(),
  gpu_utilization_percent: percent.nullish(),
  temperature_celsius: z.number().min(-273).max(1_000).nullish(),
});

/** What of it fits is taken. Unknown fields are ignored: agents of other versions send more. A null is Go's way of saying nothing. */
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
      .openapi({ description: "of one GPU, as Wolf's /api/v1/system/memory says it; `gpus` wins" }),
  })
  .openapi("Heartbeat");
export const heartbeatSchema: z.ZodType = heartbeatBody;

export interface HeartbeatReading {
  beat: Heartbeat;
  /** What did not fit, and why; without the values. */
  ignored: string[];
}

/** @param isAnnounced the request says that it has a body */
export function readHeartbeat(text: string, isAnnounced: boolean): HeartbeatReading {
  const ignored: string[] = [];
  const body = parseBody(text, isAnnounced, ignored);
  const fields = new Fields(body, ignored);
  const { shape } = heartbeatBody;
  return {
    ignored,
    beat: {
      max_sandboxes: fields.take("max_sandboxes", shape.max_sandboxes),
      desktop_versions: fields.take("desktop_versions", shape.desktop_versions),
      disk_usage: fields.list("disk_usage", MAX_HEARTBEAT_DISKS, fitting(diskUsage)),
      container_usage: fields.list("container_usage", MAX_HEARTBEAT_CONTAINERS, fitting(containerUsage)),
      privileged_mode_enabled: fields.take("privileged_mode_enabled", shape.privileged_mode_enabled),
      gpu_vendor: fields.take("gpu_vendor", shape.gpu_vendor),
      render_node: fields.take("render_node", shape.render_node),
      gpus: fields.list("gpus", MAX_HEARTBEAT_GPUS, readGpu) ?? wolfsGpu(fields),
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
    body = JSON.parse(text);
  } catch {
    ignored.push("body: not JSON");
    return {};
  }
  if (isObject(body)) return body;
  if (body !== null) ignored.push("body: not an object");
  return {};
}

function wolfsGpu(fields: Fields): GpuUsage[] | undefined {
  const stats = fields.object("gpu_stats");
  if (stats === undefined || stats.take("available", z.boolean()) === false) return undefined;
  return [readGpu(stats, 0)];
}

function readGpu(fields: Fields, place: number): GpuUsage {
  const { shape } = gpuInput;
  const take = (key: Exclude<keyof typeof shape, "model_name" | "gpu_name" | "vendor">): number | null =>
    fields.take(key, shape[key]) ?? null;
  const total = take("total_memory") ?? inBytes(take("memory_total_mb"));
  const free = take("free_memory");
  const used =
    take("used_memory") ??
    inBytes(take("memory_used_mb")) ??
    (total !== null && free !== null ? Math.max(0, total - free) : null);
  const said = take("used_percent");
  // nvidia-smi's own "memory utilization" is how busy the bus is, and not asked for.
  const computed = total !== null && total > 0 && used !== null ? (used / total) * 100 : null;
  return {
    index: take("index") ?? place,
    model_name:
      fields.take("model_name", shape.model_name) ?? fields.take("gpu_name", shape.gpu_name) ?? null,
    vendor: fields.take("vendor", shape.vendor) ?? null,
    total_memory: total,
    used_memory: used,
    used_percent: clamp(computed ?? said),
    utilization_percent: clamp(take("utilization_percent") ?? take("gpu_utilization_percent")),
    temperature_celsius: take("temperature_celsius"),
  };
}

/** The fields of one object, each for itself. */
class Fields {
  readonly #source: object;
  readonly #ignored: string[];
  readonly #path: string;

  constructor(source: object, ignored: string[], path = "") {
    this.#source = source;
    this.#ignored = ignored;
    this.#path = path;
  }

  /** Undefined where it is missing, null, or does not fit. */
  take<T>(key: string, schema: z.ZodType<T>): T | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : this.#fit(`${this.#path}${key}`, value, schema);
  }

  object(key: string): Fields | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (isObject(value)) return new Fields(value, this.#ignored, `${this.#path}${key}.`);
    this.#ignore(`${this.#path}${key}: not an object`);
    return undefined;
  }

  /** Of its objects those that `read` can use. One that had some and none of use is as if it had not been sent. */
  list<T>(
    key: string,
    most: number,
    read: (element: Fields, place: number) => T | undefined,
  ): T[] | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    const path = `${this.#path}${key}`;
    if (!Array.isArray(value)) {
      this.#ignore(`${path}: not a list`);
      return undefined;
    }
    const elements: unknown[] = value.slice(0, most);
    if (value.length > most) this.#ignore(`${path}: only the first ${most} are taken`);
    const taken: T[] = [];
    for (const [place, element] of elements.entries()) {
      if (!isObject(element)) {
        this.#ignore(`${path}.${place}: not an object`);
        continue;
      }
      const found = read(new Fields(element, this.#ignored, `${path}.${place}.`), place);
      if (found !== undefined) taken.push(found);
    }
    return elements.length > 0 && taken.length === 0 ? undefined : taken;
  }

  /** The object as a whole. */
  whole<T>(schema: z.ZodType<T>): T | undefined {
    return this.#fit(this.#path.slice(0, -1), this.#source, schema);
  }

  #get(key: string): unknown {
    return (Object.getOwnPropertyDescriptor(this.#source, key)?.value as unknown) ?? undefined;
  }

  #fit<T>(path: string, value: unknown, schema: z.ZodType<T>): T | undefined {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const inside = issue?.path[0];
    // No deeper: those names may be anything.
    const where = schema instanceof z.ZodObject && inside !== undefined ? `${path}.${String(inside)}` : path;
    this.#ignore(`${where}: ${issue?.message ?? "does not fit"}`);
    return undefined;
  }

  #ignore(complaint: string): void {
    if (this.#ignored.length < MAX_HEARTBEAT_COMPLAINTS) this.#ignored.push(complaint);
  }
}

function fitting<T>(schema: z.ZodType<T>): (element: Fields) => T | undefined {
  return (element) => element.whole(schema);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function inBytes(mebibytes: number | null): number | null {
  return mebibytes === null ? null : mebibytes * MIB;
}

function clamp(value: number | null): number | null {
  return value === null ? null : Math.min(100, Math.max(0, value));
}
