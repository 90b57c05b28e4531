/** Apps, and the profiles that contain them. */
import { z } from "zod";
import type { CallOptions } from "../http/call.ts";
import { idSchema, nullable, optional, variantSchema } from "../http/tolerant.ts";
import type { WolfApi } from "./api.ts";

/** What an app, a lobby or a session starts. */
export type WolfRunner = DockerRunner | ProcessRunner;

export interface DockerRunner {
  type: "docker";
  name: string;
  image: string;
  mounts: string[];
  env: string[];
  devices: string[];
  ports: string[];
  /** Docker's create request, as JSON text. */
  base_create_json: string;
}

export interface ProcessRunner {
  type: "process";
  run_cmd: string;
}

/** A runner as Wolf lists it. */
export interface ListedRunner {
  type: string;
  [field: string]: unknown;
}

export interface NewWolfApp {
  id: string;
  title: string;
  support_hdr: boolean;
  icon_png_path?: string;
  video_producer_buffer_caps?: string;
  h264_gst_pipeline?: string;
  hevc_gst_pipeline?: string;
  av1_gst_pipeline?: string;
  opus_gst_pipeline?: string;
  render_node?: string;
  start_virtual_compositor?: boolean;
  start_audio_server?: boolean;
  /** These three exist in the fork only. */
  default_display_width?: number;
  default_display_height?: number;
  default_display_fps?: number;
  runner: WolfRunner;
}

export interface WolfApp {
  id: string;
  title: string;
  support_hdr?: boolean | undefined;
  icon_png_path?: string | null | undefined;
  runner?: ListedRunner | undefined;
  [field: string]: unknown;
}

export interface WolfProfile {
  id: string;
  name: string;
  [field: string]: unknown;
}

export const runnerSchema: z.ZodType<ListedRunner> = z.looseObject({ type: variantSchema });

const appSchema: z.ZodType<WolfApp> = z.looseObject({
  id: idSchema,
  title: z.string(),
  support_hdr: optional(z.boolean()),
  icon_png_path: nullable(z.string()),
  runner: optional(runnerSchema),
});

const profileSchema: z.ZodType<WolfProfile> = z.looseObject({ id: idSchema, name: z.string() });

export class WolfApps {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  async list(options?: CallOptions): Promise<WolfApp[]> {
    return (await this.#api.get("/apps", z.looseObject({ apps: z.array(appSchema) }), options)).apps;
  }

  add(app: NewWolfApp, options?: CallOptions): Promise<void> {
    return this.#api.order("/apps/add", app, options);
  }

  /** Succeeds for an unknown id, too. */
  delete(id: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/apps/delete", { id }, options);
  }
}

export class WolfProfiles {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  async list(options?: CallOptions): Promise<WolfProfile[]> {
    const schema = z.looseObject({ profiles: z.array(profileSchema) });
    return (await this.#api.get("/profiles", schema, options)).profiles;
  }

  add(profile: WolfProfile, options?: CallOptions): Promise<void> {
    return this.#api.order("/profiles/add", profile, options);
  }

  /** Succeeds for an unknown id, too. */
  remove(id: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/profiles/remove", { id }, options);
  }
}
