/** Lobbies: the shared desktops. */
import { z } from "zod";
import { Call } from "../http/call.ts";
import type { CallOptions } from "../http/call.ts";
import { Semaphore } from "../http/semaphore.ts";
import { idSchema, listOf, nullable, optional } from "../http/tolerant.ts";
import type { WolfApi } from "./api.ts";
import { runnerSchema } from "./apps.ts";
import type { ListedRunner, WolfRunner } from "./apps.ts";
import type { ClientSettings } from "./paired-clients.ts";
import {
  LOBBY_CREATE_TIMEOUT_MS,
  LOBBY_JOIN_TIMEOUT_MS,
  MAX_LOBBY_CREATIONS,
  MAX_WAITING_LOBBY_CREATIONS,
} from "./limits.ts";

/** Four digits. */
export type LobbyPin = readonly [number, number, number, number];

export interface NewLobby {
  profile_id: string;
  name: string;
  multi_user: boolean;
  stop_when_everyone_leaves: boolean;
  pin?: LobbyPin;
  icon_png_path?: string;
  video_settings: LobbyVideo;
  audio_settings: { channel_count: number };
  client_settings?: Partial<ClientSettings>;
  runner_state_folder: string;
  runner: WolfRunner;
}

export interface LobbyVideo {
  width: number;
  height: number;
  refresh_rate: number;
  wayland_render_node: string;
  runner_render_node: string;
  video_producer_buffer_caps: string;
  video_source_mode?: string;
}

export interface WolfLobby {
  id: string;
  name: string;
  icon_png_path?: string | null | undefined;
  multi_user?: boolean | undefined;
  started_by_profile_id?: string | undefined;
  pin_required?: boolean | undefined;
  stop_when_everyone_leaves?: boolean | undefined;
  runner: ListedRunner;
  /** Session ids. */
  connected_sessions: string[];
  [field: string]: unknown;
}

export interface WithPin extends CallOptions {
  /** Required if the lobby was created with one; wrong for any other lobby. */
  pin?: LobbyPin | undefined;
}

const lobbySchema: z.ZodType<WolfLobby> = z.looseObject({
  id: idSchema,
  name: z.string(),
  icon_png_path: nullable(z.string()),
  multi_user: optional(z.boolean()),
  started_by_profile_id: optional(idSchema),
  pin_required: optional(z.boolean()),
  stop_when_everyone_leaves: optional(z.boolean()),
  runner: runnerSchema,
  connected_sessions: listOf(idSchema),
});

export class WolfLobbies {
  readonly #api: WolfApi;
  readonly #creations = new Semaphore({ open: MAX_LOBBY_CREATIONS, waiting: MAX_WAITING_LOBBY_CREATIONS });

  constructor(api: WolfApi) {
    this.#api = api;
  }

  async list(options?: CallOptions): Promise<WolfLobby[]> {
    const schema = z.looseObject({ lobbies: z.array(lobbySchema) });
    return (await this.#api.get("/lobbies", schema, options)).lobbies;
  }

  /**
   * Returns the id of the new lobby, after up to ten seconds. One at a time: further calls wait here, where an abort still
   * means that nothing has happened. After a `response_timeout` the lobby may exist, or still be created.
   */
  async create(lobby: NewLobby, options: CallOptions = {}): Promise<string> {
    const timeoutMs = options.timeoutMs ?? LOBBY_CREATE_TIMEOUT_MS;
    const startedAt = performance.now();
    const path = "/lobbies/create";
    using turn = new Call(`wolf POST ${path}`, timeoutMs, options.signal);
    const release = await this.#creations.acquire(turn.label, turn.signal);
    try {
      const schema = z.looseObject({ lobby_id: idSchema });
      const left = { ...options, timeoutMs: timeoutMs - (performance.now() - startedAt) };
      return (await this.#api.post(path, lobby, schema, left)).lobby_id;
    } finally {
      release();
    }
  }

  /** Takes up to two seconds. */
  join(lobbyId: string, sessionId: string, { pin, ...options }: WithPin = {}): Promise<void> {
    const body = { lobby_id: lobbyId, moonlight_session_id: sessionId, pin };
    return this.#api.order("/lobbies/join", body, options, LOBBY_JOIN_TIMEOUT_MS);
  }

  /** Succeeds for an unknown lobby or session, too. */
  leave(lobbyId: string, sessionId: string, options?: CallOptions): Promise<void> {
    const body = { lobby_id: lobbyId, moonlight_session_id: sessionId };
    return this.#api.order("/lobbies/leave", body, options);
  }

  /** @throws WolfError "Invalid PIN" */
  stop(lobbyId: string, { pin, ...options }: WithPin = {}): Promise<void> {
    return this.#api.order("/lobbies/stop", { lobby_id: lobbyId, pin }, options);
  }

  /** Fork only. */
  setPipeWireNodeId(lobbyId: string, nodeId: number, options?: CallOptions): Promise<void> {
    return this.#api.order("/lobbies/set-pipewire-node-id", { lobby_id: lobbyId, node_id: nodeId }, options);
  }

  /** Newer versions of Wolf only, like `resume`. */
  pause(lobbyId: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/lobbies/pause", { lobby_id: lobbyId }, options);
  }

  resume(lobbyId: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/lobbies/resume", { lobby_id: lobbyId }, options);
  }
}
