/** Streaming sessions, and runners inside them. A `sessionId` is the `client_id` of the session: 64 bits, in decimal. */
import { z } from "zod";
import type { CallOptions } from "../http/call.ts";
import { EmptyResponseError } from "../http/exchange.ts";
import { idSchema, nullable, optional } from "../http/tolerant.ts";
import type { WolfApi } from "./api.ts";
import type { WolfRunner } from "./apps.ts";
import type { ClientSettings } from "./paired-clients.ts";

export interface NewWolfSession {
  app_id: string;
  /** Default: Wolf generates one. */
  client_id?: string;
  client_ip?: string;
  client_unique_id?: string;
  aes_key?: string;
  aes_iv?: string;
  rtsp_fake_ip?: string;
  video_width?: number;
  video_height?: number;
  video_refresh_rate?: number;
  audio_channel_count?: number;
  client_settings?: Partial<ClientSettings>;
}

/** Contains the keys of its stream: not for logs, and for its owner only. */
export interface WolfSession {
  app_id: string;
  client_id: string;
  client_ip?: string | undefined;
  client_unique_id?: string | null | undefined;
  aes_key?: string | undefined;
  aes_iv?: string | undefined;
  rtsp_fake_ip?: string | undefined;
  video_width?: number | undefined;
  video_height?: number | undefined;
  video_refresh_rate?: number | undefined;
  audio_channel_count?: number | undefined;
  idle_seconds?: number | undefined;
  immediate_lobby_id?: string | null | undefined;
  [field: string]: unknown;
}

export interface SessionStart {
  video_session: Readonly<Record<string, unknown>>;
  audio_session: Readonly<Record<string, unknown>>;
}

const sessionSchema: z.ZodType<WolfSession> = z.looseObject({
  app_id: idSchema,
  client_id: idSchema,
  client_ip: optional(z.string()),
  client_unique_id: nullable(idSchema),
  aes_key: optional(z.string()),
  aes_iv: optional(idSchema),
  rtsp_fake_ip: optional(z.string()),
  video_width: optional(z.number()),
  video_height: optional(z.number()),
  video_refresh_rate: optional(z.number()),
  audio_channel_count: optional(z.number()),
  idle_seconds: optional(z.number()),
  immediate_lobby_id: nullable(idSchema),
});

export class WolfSessions {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  async list(options?: CallOptions): Promise<WolfSession[]> {
    const schema = z.looseObject({ sessions: z.array(sessionSchema) });
    return (await this.#api.get("/sessions", schema, options)).sessions;
  }

  /** Gives the id of the new session. */
  async add(session: NewWolfSession, options?: CallOptions): Promise<string> {
    const schema = z.looseObject({ session_id: idSchema });
    return (await this.#api.post("/sessions/add", session, schema, options)).session_id;
  }

  start(sessionId: string, start: SessionStart, options?: CallOptions): Promise<void> {
    return this.#api.order("/sessions/start", { ...start, session_id: sessionId }, options);
  }

  pause(sessionId: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/sessions/pause", { session_id: sessionId }, options);
  }

  stop(sessionId: string, options?: CallOptions): Promise<void> {
    return this.#api.order("/sessions/stop", { session_id: sessionId }, options);
  }

  /** @param packet a Moonlight input packet */
  input(sessionId: string, packet: Uint8Array, options?: CallOptions): Promise<void> {
    const input_packet_hex = Buffer.from(packet).toString("hex").toUpperCase();
    return this.#api.order("/sessions/input", { session_id: sessionId, input_packet_hex }, options);
  }

  /** Fork only: the next session of this client enters a lobby directly. */
  async configure(clientUniqueId: string, lobbyId: string, options?: CallOptions): Promise<string> {
    const body = { client_unique_id: clientUniqueId, immediate_lobby_id: lobbyId };
    const schema = z.looseObject({ message: z.string().catch("") });
    return (await this.#api.post("/sessions/configure", body, schema, options)).message;
  }

  /** Starts another runner in a session. On success Wolf closes the connection without a response. */
  async startRunner(
    sessionId: string,
    runner: WolfRunner,
    { stopStreamWhenOver, ...options }: CallOptions & { stopStreamWhenOver: boolean },
  ): Promise<void> {
    const body = { stop_stream_when_over: stopStreamWhenOver, runner, session_id: sessionId };
    try {
      await this.#api.order("/runners/start", body, options);
    } catch (error) {
      if (!(error instanceof EmptyResponseError)) throw error;
    }
  }
}
