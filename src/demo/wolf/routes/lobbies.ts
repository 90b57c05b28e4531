/** Lobbies: the shared desktops. Creating one blocks Wolf's only thread until the desktop is up. */
import { randomUUID } from "node:crypto";
import { flag, numberOr, object, parseObject, text, textOr } from "../fields.ts";
import type { JsonObject } from "../fields.ts";
import { MAX_LOBBY_CREATE_MS } from "../limits.ts";
import { failure, success } from "../reply.ts";
import type { Reply } from "../reply.ts";
import type { Routes, WolfContext } from "../router.ts";
import { addBounded, removeWhere } from "../state.ts";
import type { WolfLobby } from "../state.ts";

const EVENTS = "wolf::core::events::";

export const lobbyRoutes: Routes = {
  "GET /api/v1/lobbies": (_request, { state }) => {
    const lobbies = state.lobbies.map(({ pin, ...lobby }) => ({ ...lobby, pin_required: pin !== null }));
    return success({ lobbies });
  },

  "POST /api/v1/lobbies/create": async (request, wolf) => {
    const { state, events, thread, blockLobbyCreateMs } = wolf;
    const fields = parseObject(request.body);
    object(fields, "video_settings");
    object(fields, "audio_settings");
    text(fields, "runner_state_folder");
    const lobby: WolfLobby = {
      id: randomUUID(),
      name: text(fields, "name"),
      icon_png_path: textOr(fields, "icon_png_path", null),
      multi_user: flag(fields, "multi_user"),
      started_by_profile_id: text(fields, "profile_id"),
      stop_when_everyone_leaves: flag(fields, "stop_when_everyone_leaves"),
      runner: object(fields, "runner"),
      connected_sessions: [],
      pin: pinOf(fields),
    };
    // `double_block_ms` is the double's own: one request that blocks, for tests.
    const blockMs = numberOr(fields, "double_block_ms", blockLobbyCreateMs);
    await thread.stall(Math.min(blockMs, MAX_LOBBY_CREATE_MS));
    addBounded(state.lobbies, lobby);
    wolf.containers?.start(lobby);
    events.emit(`${EVENTS}CreateLobbyEvent`, { id: lobby.id, name: lobby.name, runner: lobby.runner });
    return success({ lobby_id: lobby.id });
  },

  "POST /api/v1/lobbies/join": (request, wolf) =>
    withPin(request.body, wolf, (lobby, fields) => {
      const moonlight_session_id = text(fields, "moonlight_session_id");
      if (!wolf.state.sessions.some(({ client_id }) => client_id === moonlight_session_id)) {
        return failure("Session not found");
      }
      removeWhere(lobby.connected_sessions, (id) => id === moonlight_session_id);
      addBounded(lobby.connected_sessions, moonlight_session_id);
      wolf.events.emit(`${EVENTS}JoinLobbyEvent`, { lobby_id: lobby.id, moonlight_session_id });
      return success();
    }),

  // Wolf only emits the event: an unknown lobby or session is a success, too.
  "POST /api/v1/lobbies/leave": (request, wolf) => {
    const { state, events } = wolf;
    const fields = parseObject(request.body);
    const lobby_id = text(fields, "lobby_id");
    const moonlight_session_id = text(fields, "moonlight_session_id");
    const lobby = state.lobbies.find(({ id }) => id === lobby_id);
    if (lobby !== undefined) removeWhere(lobby.connected_sessions, (id) => id === moonlight_session_id);
    events.emit(`${EVENTS}LeaveLobbyEvent`, { lobby_id, moonlight_session_id });
    if (lobby?.stop_when_everyone_leaves === true && lobby.connected_sessions.length === 0) {
      stop(lobby, wolf);
    }
    return success();
  },

  "POST /api/v1/lobbies/stop": (request, wolf) =>
    withPin(request.body, wolf, (lobby) => {
      stop(lobby, wolf);
      return success();
    }),

  "POST /api/v1/lobbies/set-pipewire-node-id": (request, wolf) =>
    withLobby(request.body, wolf, (lobby, fields) => {
      const node_id = numberOr(fields, "node_id", 0);
      wolf.events.emit(`${EVENTS}SetPipeWireNodeId`, { lobby_id: lobby.id, node_id });
      return success();
    }),

  "POST /api/v1/lobbies/pause": (request, wolf) => withLobby(request.body, wolf, () => success()),
  "POST /api/v1/lobbies/resume": (request, wolf) => withLobby(request.body, wolf, () => success()),
};

type ForLobby = (lobby: WolfLobby, fields: JsonObject) => Reply;

function withLobby(body: string, { state }: WolfContext, then: ForLobby): Reply {
  const fields = parseObject(body);
  const lobby_id = text(fields, "lobby_id");
  const lobby = state.lobbies.find(({ id }) => id === lobby_id);
  return lobby === undefined ? failure("Invalid lobby ID") : then(lobby, fields);
}

/** Wolf compares the optional values, so a PIN for a lobby without one is wrong, too. */
function withPin(body: string, wolf: WolfContext, then: ForLobby): Reply {
  return withLobby(body, wolf, (lobby, fields) => {
    const matches = JSON.stringify(pinOf(fields)) === JSON.stringify(lobby.pin);
    return matches ? then(lobby, fields) : failure("Invalid PIN");
  });
}

function pinOf(fields: JsonObject): readonly number[] | null {
  const pin = fields["pin"];
  return Array.isArray(pin) ? pin.map(Number) : null;
}

function stop(lobby: WolfLobby, { state, events, containers }: WolfContext): void {
  removeWhere(state.lobbies, (other) => other === lobby);
  containers?.stop(lobby);
  events.emit(`${EVENTS}StopLobbyEvent`, { lobby_id: lobby.id });
}
