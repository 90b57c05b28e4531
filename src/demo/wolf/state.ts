/** State of the Wolf double: a freshly configured Wolf with two apps, one paired client and its session. */
import { randomBytes } from "node:crypto";
import type { JsonObject } from "./fields.ts";
import { MAX_ENTRIES } from "./limits.ts";

export interface WolfApp extends JsonObject {
  id: string;
  title: string;
}

export interface WolfProfile extends JsonObject {
  id: string;
}

export interface WolfClient {
  client_id: string;
  app_state_folder: string;
  settings: JsonObject;
}

export interface WolfSession extends JsonObject {
  client_id: string;
  app_id: string;
}

export interface WolfLobby {
  id: string;
  name: string;
  icon_png_path: string | null;
  multi_user: boolean;
  started_by_profile_id: string;
  stop_when_everyone_leaves: boolean;
  runner: JsonObject;
  connected_sessions: string[];
  /** Never listed; the listing only has `pin_required`. */
  pin: readonly number[] | null;
}

export interface WolfState {
  readonly startedAt: number;
  readonly apps: WolfApp[];
  readonly profiles: WolfProfile[];
  readonly clients: WolfClient[];
  /** Pairings that wait for a PIN: secret to the client's address. */
  readonly pendingPairs: Map<string, string>;
  readonly sessions: WolfSession[];
  readonly lobbies: WolfLobby[];
  readonly images: string[];
  /** Keys that hang, by session id; `/keyboard/reset` releases them. */
  readonly pressedKeys: Map<string, number[]>;
  /** A 64-bit id, always above 2^53: parsed as a number it loses digits. */
  nextId(): string;
}

export function seedState(): WolfState {
  let lastId = 10_235_712_998_877_665_541n;
  const nextId = (): string => {
    // The step is odd, so no digit stays zero and rounding to a double always shows.
    lastId += 7_777_777_777_777n;
    return String(lastId);
  };
  const clientId = nextId();
  return {
    startedAt: Date.now(),
    apps: [
      dockerApp("134906179", "Wolf UI", "ghcr.io/games-on-whales/wolf-ui:main"),
      dockerApp("897611421", "Sway Desktop", "helix-sway:latest"),
    ],
    profiles: [{ id: "helix-sessions", name: "Helix Sessions", apps: [] }],
    clients: [{ client_id: clientId, app_state_folder: "demo", settings: defaultClientSettings() }],
    pendingPairs: new Map([["demo-pair-secret", "172.19.0.50"]]),
    sessions: [newSession({ client_id: clientId, app_id: "134906179" })],
    lobbies: [],
    images: ["ghcr.io/games-on-whales/wolf-ui:main", "helix-sway:latest"],
    pressedKeys: new Map([[clientId, [16]]]),
    nextId,
  };
}

/** A session object with Wolf's fields. It has the AES key of the stream, so listings of it are secret. */
export function newSession(fields: JsonObject & { client_id: string; app_id: string }): WolfSession {
  return {
    client_ip: "172.19.0.50",
    client_unique_id: "demo",
    aes_key: randomBytes(16).toString("hex"),
    aes_iv: "0",
    rtsp_fake_ip: "0.0.0.0",
    video_width: 1920,
    video_height: 1080,
    video_refresh_rate: 60,
    audio_channel_count: 2,
    client_settings: defaultClientSettings(),
    idle_seconds: 0,
    ...fields,
  };
}

export function defaultClientSettings(): JsonObject {
  return {
    run_uid: 1000,
    run_gid: 1000,
    controllers_override: [],
    mouse_acceleration: 1,
    v_scroll_acceleration: 1,
    h_scroll_acceleration: 1,
  };
}

/** Adds an item, and drops the oldest above the bound. */
export function addBounded<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > MAX_ENTRIES) list.shift();
}

/** Removes in place. True if an item was removed. */
export function removeWhere<T>(list: T[], matches: (item: T) => boolean): boolean {
  const kept = list.filter((item) => !matches(item));
  const removed = kept.length < list.length;
  list.splice(0, list.length, ...kept);
  return removed;
}

function dockerApp(id: string, title: string, image: string): WolfApp {
  const name = title.replaceAll(" ", "");
  return {
    id,
    title,
    support_hdr: false,
    icon_png_path: `${name}.png`,
    render_node: "/dev/dri/renderD128",
    start_virtual_compositor: true,
    start_audio_server: true,
    runner: {
      type: "docker",
      name,
      image,
      mounts: [],
      env: [],
      devices: [],
      ports: [],
      base_create_json: "{}",
    },
  };
}
