/** A session's lobby, in Wolf's terms. */
import type { WolfClient } from "../../clients/wolf/client.ts";
import { WolfError } from "../../clients/wolf/errors.ts";
import { HelixError } from "../errors.ts";
import { sandboxRunner } from "../ids.ts";
import { MADE_BY_VARIABLE } from "./lobbies.ts";
import type { Lobbies, Lobby, LobbyRequest } from "./lobbies.ts";

/** Where a sandbox's server listens (Helix's). */
const SANDBOX_PORT = 9876;
/** Owner of our lobbies in Wolf's own listing. */
const PROFILE_ID = "helix-sessions";

export function lobbiesOf(wolf: WolfClient): Lobbies {
  const list = () => ours(async () => (await wolf.lobbies.list()).map(described));
  return {
    create: (request) => ours(() => wolf.lobbies.create(newLobby(request))),
    stop: async (lobbyId) => {
      try {
        await ours(() => wolf.lobbies.stop(lobbyId));
      } catch (error) {
        // Wolf has one response for "unknown" and for "cannot": its list distinguishes them.
        if (!(error instanceof HelixError) || error.code !== "wolf_failed") throw error;
        if ((await list()).some(({ id }) => id === lobbyId)) throw error;
      }
    },
    list,
  };
}

function described({ id, name, runner }: Awaited<ReturnType<WolfClient["lobbies"]["list"]>>[number]): Lobby {
  const prefix = `${MADE_BY_VARIABLE}=`;
  const env = runner["env"];
  const entries: unknown[] = Array.isArray(env) ? env : [];
  const entry = entries.find((item) => typeof item === "string" && item.startsWith(prefix));
  return { id, name, madeBy: typeof entry === "string" ? entry.slice(prefix.length) : undefined };
}

/** Wolf's own words, in our code. */
async function ours<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof WolfError) throw new HelixError("wolf_failed", cause.message, { cause });
    throw cause;
  }
}

/** By which the agent beside Wolf finds the container and announces it. */
function labelsOf(sessionId: string): Record<string, string> {
  return {
    "turnabout.runner": sandboxRunner(sessionId),
    "turnabout.target.screenshot": String(SANDBOX_PORT),
  };
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
      base_create_json: JSON.stringify({ Hostname: sessionId.slice(0, 63), Labels: labelsOf(sessionId) }),
    },
  };
}
