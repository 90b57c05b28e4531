/** A session's lobby, in Wolf's terms. */
import type { WolfClient } from "../../clients/wolf/client.ts";
import { WolfError } from "../../clients/wolf/errors.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Lobbies, LobbyRequest } from "./lobbies.ts";

/** Owner of our lobbies in Wolf's own listing. */
const PROFILE_ID = "helix-sessions";

export function lobbiesOf(wolf: WolfClient): Lobbies {
  return {
    create: (request) => ours(() => wolf.lobbies.create(newLobby(request))),
    stop: (lobbyId) => ours(() => wolf.lobbies.stop(lobbyId)),
    list: () => ours(async () => (await wolf.lobbies.list()).map(({ id, name }) => ({ id, name }))),
  };
}

/** Wolf's own "no" is an answer: nothing was made. */
async function ours<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof WolfError) throw new TurnaboutError("wolf_failed", cause.message, { cause });
    throw cause;
  }
}

function newLobby(request: LobbyRequest): Parameters<WolfClient["lobbies"]["create"]>[0] {
  const { sessionId, image, width, height, refreshRate, renderNode, environment } = request;
  return {
    profile_id: PROFILE_ID,
    name: sessionId,
    multi_user: true,
    stop_when_everyone_leaves: false,
    video_settings: {
      width,
      height,
      refresh_rate: refreshRate,
      wayland_render_node: renderNode,
      runner_render_node: renderNode,
      video_producer_buffer_caps: "video/x-raw",
    },
    audio_settings: { channel_count: 2 },
    runner_state_folder: sessionId,
    runner: {
      type: "docker",
      name: `sandbox-${sessionId}`,
      image,
      mounts: [],
      env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      devices: [],
      ports: [],
      base_create_json: JSON.stringify({ Hostname: sessionId.slice(0, 63) }),
    },
  };
}
