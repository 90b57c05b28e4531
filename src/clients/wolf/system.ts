/** Memory, threads and keyboards: diagnostics of the fork. */
import { z } from "zod";
import type { CallOptions } from "../http/call.ts";
import { countSchema, idSchema, listOf, nullable, optional, variantSchema } from "../http/tolerant.ts";
import type { WolfApi } from "./api.ts";

export interface WolfMemory {
  process_rss_bytes: number;
  gstreamer_buffer_bytes?: number | undefined;
  total_memory_bytes?: number | undefined;
  apps: MemoryUse[];
  lobbies: MemoryUse[];
  clients: MemoryUse[];
  gpu_stats?: GpuStats | undefined;
  gstreamer_pipelines?: GstreamerPipelines | undefined;
  [field: string]: unknown;
}

/** Memory of an app, a lobby or a client, depending on which id is present. */
export interface MemoryUse {
  app_id?: string | null | undefined;
  app_name?: string | undefined;
  lobby_id?: string | null | undefined;
  lobby_name?: string | undefined;
  client_id?: string | undefined;
  session_id?: string | undefined;
  client_ip?: string | undefined;
  resolution?: string | undefined;
  client_count?: number | undefined;
  memory_bytes?: number | undefined;
  [field: string]: unknown;
}

export interface GpuStats {
  /** False if `nvidia-smi` does not run; `error` has the reason. */
  available?: boolean | undefined;
  gpu_name?: string | undefined;
  gpu_utilization_percent?: number | undefined;
  memory_used_mb?: number | undefined;
  memory_total_mb?: number | undefined;
  temperature_celsius?: number | undefined;
  query_duration_ms?: number | undefined;
  error?: string | undefined;
  [field: string]: unknown;
}

export interface GstreamerPipelines {
  producer_pipelines?: number | undefined;
  consumer_pipelines?: number | undefined;
  total_pipelines?: number | undefined;
  [field: string]: unknown;
}

export interface WolfHealth {
  process_uptime_seconds?: number | undefined;
  threads: WolfThread[];
  stuck_thread_count?: number | undefined;
  total_thread_count?: number | undefined;
  can_create_new_pipelines?: boolean | undefined;
  /** `healthy`, `degraded` or `critical`. */
  overall_status: string;
  [field: string]: unknown;
}

export interface WolfThread {
  tid: number;
  name?: string | undefined;
  is_stuck?: boolean | undefined;
  seconds_since_heartbeat?: number | undefined;
  seconds_alive?: number | undefined;
  heartbeat_count?: number | undefined;
  details?: string | undefined;
  current_request_path?: string | undefined;
  request_duration_seconds?: number | undefined;
  has_active_request?: boolean | undefined;
  stack_trace?: string | undefined;
  [field: string]: unknown;
}

/** What one of the layers between viewer and desktop takes for pressed. */
export interface KeyboardLayer {
  pressed_keys?: number[] | undefined;
  pressed_key_names?: string[] | undefined;
  modifier_state?: Partial<Record<"shift" | "ctrl" | "alt" | "meta", boolean | undefined>> | undefined;
  [field: string]: unknown;
}

/** The layers' states, or the session's own, depending on Wolf's version. */
export interface KeyboardState extends KeyboardLayer {
  session_id: string;
  has_mismatch?: boolean | undefined;
  wolf_state?: KeyboardLayer | undefined;
  inputtino_state?: KeyboardLayer | undefined;
  evdev_state?: KeyboardLayer | undefined;
  timestamp_ms?: number | undefined;
  device_name?: string | undefined;
  device_node?: string | undefined;
  mismatch_description?: string | undefined;
}

export interface KeyboardReset {
  /** Their names. */
  released_keys: string[];
  message: string;
}

const useSchema: z.ZodType<MemoryUse> = z.looseObject({
  app_id: nullable(idSchema),
  app_name: optional(z.string()),
  lobby_id: nullable(idSchema),
  lobby_name: optional(z.string()),
  client_id: optional(idSchema),
  session_id: optional(idSchema),
  client_ip: optional(z.string()),
  resolution: optional(z.string()),
  client_count: optional(z.number()),
  memory_bytes: optional(countSchema),
});

const gpuSchema: z.ZodType<GpuStats> = z.looseObject({
  available: optional(z.boolean()),
  gpu_name: optional(z.string()),
  gpu_utilization_percent: optional(z.number()),
  memory_used_mb: optional(z.number()),
  memory_total_mb: optional(z.number()),
  temperature_celsius: optional(z.number()),
  query_duration_ms: optional(z.number()),
  error: optional(z.string()),
});

const pipelinesSchema: z.ZodType<GstreamerPipelines> = z.looseObject({
  producer_pipelines: optional(countSchema),
  consumer_pipelines: optional(countSchema),
  total_pipelines: optional(countSchema),
});

const memorySchema: z.ZodType<WolfMemory> = z.looseObject({
  process_rss_bytes: countSchema,
  gstreamer_buffer_bytes: optional(countSchema),
  total_memory_bytes: optional(countSchema),
  apps: listOf(useSchema),
  lobbies: listOf(useSchema),
  clients: listOf(useSchema),
  gpu_stats: optional(gpuSchema),
  gstreamer_pipelines: optional(pipelinesSchema),
});

const threadSchema: z.ZodType<WolfThread> = z.looseObject({
  tid: countSchema,
  name: optional(z.string()),
  is_stuck: optional(z.boolean()),
  seconds_since_heartbeat: optional(z.number()),
  seconds_alive: optional(z.number()),
  heartbeat_count: optional(countSchema),
  details: optional(z.string()),
  current_request_path: optional(z.string()),
  request_duration_seconds: optional(z.number()),
  has_active_request: optional(z.boolean()),
  stack_trace: optional(z.string()),
});

const healthSchema: z.ZodType<WolfHealth> = z.looseObject({
  process_uptime_seconds: optional(z.number()),
  threads: listOf(threadSchema),
  stuck_thread_count: optional(countSchema),
  total_thread_count: optional(countSchema),
  can_create_new_pipelines: optional(z.boolean()),
  overall_status: variantSchema,
});

const layerMembers = {
  pressed_keys: optional(z.array(z.number())),
  pressed_key_names: optional(z.array(z.string())),
  modifier_state: optional(
    z.looseObject({
      shift: optional(z.boolean()),
      ctrl: optional(z.boolean()),
      alt: optional(z.boolean()),
      meta: optional(z.boolean()),
    }),
  ),
};

const layerSchema: z.ZodType<KeyboardLayer> = z.looseObject(layerMembers);

const keyboardSchema: z.ZodType<KeyboardState> = z.looseObject({
  ...layerMembers,
  session_id: idSchema,
  has_mismatch: optional(z.boolean()),
  wolf_state: optional(layerSchema),
  inputtino_state: optional(layerSchema),
  evdev_state: optional(layerSchema),
  timestamp_ms: optional(countSchema),
  device_name: optional(z.string()),
  device_node: optional(z.string()),
  mismatch_description: optional(z.string()),
});

const resetSchema: z.ZodType<KeyboardReset> = z.looseObject({
  released_keys: listOf(z.string()),
  message: z.string().catch(""),
});

export class WolfSystem {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  /** Takes 50 to 200 ms, because Wolf runs `nvidia-smi`; Wolf caches the result for two seconds. */
  memory(options?: CallOptions): Promise<WolfMemory> {
    return this.#api.get("/system/memory", memorySchema, options);
  }

  health(options?: CallOptions): Promise<WolfHealth> {
    return this.#api.get("/system/health", healthSchema, options);
  }

  async keyboards(options?: CallOptions): Promise<KeyboardState[]> {
    const schema = z.looseObject({ sessions: z.array(keyboardSchema) });
    return (await this.#api.get("/keyboard/state", schema, options)).sessions;
  }

  /** Releases every stuck key. */
  resetKeyboard(sessionId: string, options?: CallOptions): Promise<KeyboardReset> {
    return this.#api.post("/keyboard/reset", { session_id: sessionId }, resetSchema, options);
  }

  /** OpenAPI's description of what this Wolf can do. */
  schema(options?: CallOptions): Promise<Record<string, unknown>> {
    return this.#api.get("/openapi-schema", z.looseObject({}), options);
  }
}
