/** Memory, threads and keyboards: diagnostics of the fork. */
import { z } from "zod";
import type { CallOptions } from "../http/call.ts";
import { countSchema, idSchema } from "./api.ts";
import type { WolfApi } from "./api.ts";

export interface WolfMemory {
  process_rss_bytes: number;
  gstreamer_buffer_bytes: number;
  total_memory_bytes: number;
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
  memory_bytes: number;
  [field: string]: unknown;
}

export interface GpuStats {
  /** False if `nvidia-smi` does not run; `error` has the reason. */
  available: boolean;
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
  producer_pipelines: number;
  consumer_pipelines: number;
  total_pipelines: number;
  [field: string]: unknown;
}

export interface WolfHealth {
  process_uptime_seconds: number;
  threads: WolfThread[];
  stuck_thread_count: number;
  total_thread_count: number;
  can_create_new_pipelines: boolean;
  /** `healthy`, `degraded` or `critical`. */
  overall_status: string;
  [field: string]: unknown;
}

export interface WolfThread {
  tid: number;
  name: string;
  is_stuck: boolean;
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

export interface KeyboardState {
  session_id: string;
  has_mismatch: boolean;
  pressed_keys: number[];
  pressed_key_names: string[];
  timestamp_ms?: number | undefined;
  device_name?: string | undefined;
  device_node?: string | undefined;
  mismatch_description?: string | undefined;
  modifier_state?: { shift: boolean; ctrl: boolean; alt: boolean; meta: boolean } | undefined;
  [field: string]: unknown;
}

export interface KeyboardReset {
  released_keys: number[];
  message: string;
}

const useSchema: z.ZodType<MemoryUse> = z.looseObject({
  app_id: idSchema.nullish(),
  app_name: z.string().optional(),
  lobby_id: idSchema.nullish(),
  lobby_name: z.string().optional(),
  client_id: idSchema.optional(),
  session_id: idSchema.optional(),
  client_ip: z.string().optional(),
  resolution: z.string().optional(),
  client_count: z.number().optional(),
  memory_bytes: countSchema,
});

const memorySchema: z.ZodType<WolfMemory> = z.looseObject({
  process_rss_bytes: countSchema,
  gstreamer_buffer_bytes: countSchema,
  total_memory_bytes: countSchema,
  apps: z.array(useSchema),
  lobbies: z.array(useSchema),
  clients: z.array(useSchema),
  gpu_stats: z
    .looseObject({
      available: z.boolean(),
      gpu_name: z.string().optional(),
      gpu_utilization_percent: z.number().optional(),
      memory_used_mb: z.number().optional(),
      memory_total_mb: z.number().optional(),
      temperature_celsius: z.number().optional(),
      query_duration_ms: z.number().optional(),
      error: z.string().optional(),
    })
    .optional(),
  gstreamer_pipelines: z
    .looseObject({
      producer_pipelines: z.number(),
      consumer_pipelines: z.number(),
      total_pipelines: z.number(),
    })
    .optional(),
});

const threadSchema: z.ZodType<WolfThread> = z.looseObject({
  tid: countSchema,
  name: z.string(),
  is_stuck: z.boolean(),
  seconds_since_heartbeat: z.number().optional(),
  seconds_alive: z.number().optional(),
  heartbeat_count: countSchema.optional(),
  details: z.string().optional(),
  current_request_path: z.string().optional(),
  request_duration_seconds: z.number().optional(),
  has_active_request: z.boolean().optional(),
  stack_trace: z.string().optional(),
});

const healthSchema: z.ZodType<WolfHealth> = z.looseObject({
  process_uptime_seconds: z.number(),
  threads: z.array(threadSchema),
  stuck_thread_count: z.number(),
  total_thread_count: z.number(),
  can_create_new_pipelines: z.boolean(),
  overall_status: z.string(),
});

const keyboardSchema: z.ZodType<KeyboardState> = z.looseObject({
  session_id: idSchema,
  has_mismatch: z.boolean(),
  pressed_keys: z.array(z.number()),
  pressed_key_names: z.array(z.string()),
  timestamp_ms: z.number().optional(),
  device_name: z.string().optional(),
  device_node: z.string().optional(),
  mismatch_description: z.string().optional(),
  modifier_state: z
    .looseObject({ shift: z.boolean(), ctrl: z.boolean(), alt: z.boolean(), meta: z.boolean() })
    .optional(),
});

const resetSchema: z.ZodType<KeyboardReset> = z.looseObject({
  released_keys: z.array(z.number()),
  message: z.string(),
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
