/** Memory, health and keyboards: the fork's diagnostics. */
import { totalmem } from "node:os";
import { parseObject, text } from "../fields.ts";
import { failure, success } from "../reply.ts";
import type { Routes } from "../router.ts";

/** Approximate memory of a desktop at 1080p on a real host. */
const BYTES_PER_LOBBY: number = 600 * 1024 * 1024;
const BYTES_PER_CLIENT: number = 90 * 1024 * 1024;

export const systemRoutes: Routes = {
  "GET /api/v1/system/memory": (_request, { state }) => {
    const lobbies = state.lobbies.map((lobby) => ({
      lobby_id: lobby.id,
      lobby_name: lobby.name,
      resolution: "1920x1080@60",
      client_count: lobby.connected_sessions.length,
      memory_bytes: BYTES_PER_LOBBY,
    }));
    const clients = state.sessions.map((session) => ({
      client_id: session.client_id,
      session_id: session.client_id,
      client_ip: session["client_ip"],
      lobby_id:
        state.lobbies.find((lobby) => lobby.connected_sessions.includes(session.client_id))?.id ?? null,
      resolution: `${String(session["video_width"])}x${String(session["video_height"])}`,
      memory_bytes: BYTES_PER_CLIENT,
    }));
    return success({
      process_rss_bytes: process.memoryUsage.rss(),
      gstreamer_buffer_bytes: lobbies.length * BYTES_PER_LOBBY,
      total_memory_bytes: totalmem(),
      apps: [],
      lobbies,
      clients,
      gpu_stats: {
        available: true,
        gpu_name: "Demo GPU",
        encoder_session_count: clients.length,
        encoder_average_fps: 60,
        encoder_average_latency_us: 4_200,
        encoder_utilization_percent: 12,
        gpu_utilization_percent: 18,
        memory_utilization_percent: 9,
        memory_used_mb: 1_480,
        memory_total_mb: 16_384,
        temperature_celsius: 47,
        query_duration_ms: 61,
        error: "",
      },
      gstreamer_pipelines: {
        producer_pipelines: lobbies.length,
        consumer_pipelines: clients.length,
        total_pipelines: lobbies.length + clients.length,
      },
    });
  },

  "GET /api/v1/system/health": (_request, { state }) => {
    const uptime = Math.floor((Date.now() - state.startedAt) / 1000);
    const thread = {
      tid: process.pid,
      name: "HTTP-API",
      details: "Unix socket API",
      seconds_since_heartbeat: 0,
      seconds_alive: uptime,
      heartbeat_count: uptime,
      is_stuck: false,
      current_request_path: "/api/v1/system/health",
      request_duration_seconds: 0,
      has_active_request: true,
      stack_trace: "",
    };
    return success({
      process_uptime_seconds: uptime,
      threads: [thread],
      stuck_thread_count: 0,
      total_thread_count: 1,
      can_create_new_pipelines: true,
      overall_status: "healthy",
    });
  },

  "GET /api/v1/keyboard/state": (_request, { state }) => {
    const sessions = state.sessions.map((session) => {
      const pressed = state.pressedKeys.get(session.client_id) ?? [];
      const received = layerOf(pressed);
      return {
        session_id: session.client_id,
        timestamp_ms: Date.now(),
        device_name: "Wolf (virtual) keyboard",
        device_node: "/dev/input/event5",
        wolf_state: received,
        inputtino_state: received,
        evdev_state: {
          ...received,
          pressed_keys: pressed.map((key) => (key === SHIFT ? KEY_LEFTSHIFT : key)),
        },
        has_mismatch: false,
        mismatch_description: "",
        ...received,
      };
    });
    return success({ sessions });
  },

  "POST /api/v1/keyboard/reset": (request, { state }) => {
    const id = text(parseObject(request.body), "session_id");
    if (!state.sessions.some(({ client_id }) => client_id === id)) return failure("Session not found");
    const released_keys = (state.pressedKeys.get(id) ?? []).map(nameOf);
    state.pressedKeys.delete(id);
    return success({ released_keys, message: `Released ${released_keys.length} stuck keys` });
  },
};

/** Windows' virtual-key code of the shift key, as Moonlight sends it, and the kernel's. */
const SHIFT = 16;
const KEY_LEFTSHIFT = 42;

/** One layer's view of the keyboard. Older versions have the keys alone, beside the layers. */
function layerOf(pressed: readonly number[]): object {
  return {
    pressed_keys: pressed,
    pressed_key_names: pressed.map(nameOf),
    modifier_state: { shift: pressed.includes(SHIFT), ctrl: false, alt: false, meta: false },
  };
}

function nameOf(key: number): string {
  return key === SHIFT ? "KEY_LEFTSHIFT" : `KEY_${key}`;
}
