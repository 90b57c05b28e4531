/** Stream sessions and runners. */
import { object, parseObject, text, textOr } from "../fields.ts";
import type { JsonObject } from "../fields.ts";
import { failure, success } from "../reply.ts";
import type { Reply } from "../reply.ts";
import type { Routes, WolfContext } from "../router.ts";
import { addBounded, newSession, removeWhere } from "../state.ts";
import type { WolfSession } from "../state.ts";

const EVENTS = "wolf::core::events::";

export const sessionRoutes: Routes = {
  "GET /api/v1/sessions": (_request, { state }) => success({ sessions: state.sessions }),

  "POST /api/v1/sessions/add": (request, { state, events }) => {
    const fields = parseObject(request.body);
    const app_id = textOr(fields, "app_id", state.apps[0]?.id ?? "");
    if (!state.apps.some((app) => app.id === app_id)) return failure("Invalid app_id");
    // The id of a session is the id of its client, which the other endpoints call `session_id`.
    const client_id = textOr(fields, "client_id", state.nextId());
    const session = newSession({ ...fields, client_id, app_id });
    addBounded(state.sessions, session);
    events.emit(`${EVENTS}StreamSession`, session);
    return success({ session_id: client_id });
  },

  "POST /api/v1/sessions/start": (request, wolf) =>
    withSession(request.body, wolf, (session, fields) => {
      const video = object(fields, "video_session");
      const audio = object(fields, "audio_session");
      wolf.events.emit(`${EVENTS}VideoSession`, { ...video, session_id: session.client_id });
      const { aes_key, aes_iv } = session;
      wolf.events.emit(`${EVENTS}AudioSession`, { ...audio, aes_key, aes_iv, session_id: session.client_id });
      return success();
    }),

  "POST /api/v1/sessions/pause": (request, wolf) =>
    withSession(request.body, wolf, (session) => {
      wolf.events.emit(`${EVENTS}PauseStreamEvent`, { session_id: session.client_id });
      return success();
    }),

  "POST /api/v1/sessions/stop": (request, wolf) =>
    withSession(request.body, wolf, (session) => {
      removeWhere(wolf.state.sessions, (other) => other === session);
      for (const lobby of wolf.state.lobbies) {
        removeWhere(lobby.connected_sessions, (id) => id === session.client_id);
      }
      wolf.events.emit(`${EVENTS}StopStreamEvent`, { session_id: session.client_id });
      return success();
    }),

  "POST /api/v1/sessions/input": (request, wolf) =>
    withSession(request.body, wolf, (_session, fields) => {
      text(fields, "input_packet_hex");
      return success();
    }),

  // An addition of the fork: the next session of this client goes straight into a lobby.
  "POST /api/v1/sessions/configure": (request, { state }) => {
    const fields = parseObject(request.body);
    const unique = text(fields, "client_unique_id");
    const immediate_lobby_id = text(fields, "immediate_lobby_id");
    for (const session of state.sessions) {
      if (session["client_unique_id"] === unique) session["immediate_lobby_id"] = immediate_lobby_id;
    }
    return success({ message: `Session configured for client ${unique}` });
  },

  // Wolf's bug, kept: a success has no response, and the connection closes.
  "POST /api/v1/runners/start": (request, wolf) =>
    withSession(request.body, wolf, (session, fields) => {
      const runner = object(fields, "runner");
      wolf.events.emit(`${EVENTS}StartRunner`, { runner, session_id: session.client_id });
      return { kind: "silence" };
    }),
};

function withSession(
  body: string,
  { state }: WolfContext,
  then: (session: WolfSession, fields: JsonObject) => Reply,
): Reply {
  const fields = parseObject(body);
  const id = text(fields, "session_id");
  const session = state.sessions.find(({ client_id }) => client_id === id);
  return session === undefined ? failure("Invalid session_id") : then(session, fields);
}
