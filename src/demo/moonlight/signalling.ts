/**
 * The signalling on `WS /api/host/stream`: JSON text messages (Rust's externally tagged enums).
 *
 *     → {"AuthenticateAndInit":{credentials, session_id, mode, host_id, app_id, width, height, …}}
 *     ← {"UpdateApp":…} {"StageComplete":{"stage":"Launch Streamer"}} {"WebRtcConfig":…}
 *     ← {"StageStarting":…} {"StageComplete":…} … {"ConnectionComplete":…}
 *     → {"Signaling":{"Description":{"ty":"offer",…}}}
 *     ← {"Signaling":{"Description":{"ty":"answer",…}}} {"Signaling":{"AddIceCandidate":…}}
 */
import type { RawData, WebSocket } from "ws";
import { sameSecret } from "./auth.ts";
import { MAX_ENTRIES } from "./limits.ts";
import type { OpenPeer, Peer } from "./peer.ts";
import { findHost } from "./state.ts";
import type { MoonlightState, MoonlightStream, StreamMode } from "./state.ts";

/** Stages of Moonlight's own connection, in its order. */
const STAGES: readonly string[] = [
  "RTSP handshake",
  "control stream establishment",
  "video stream establishment",
];

type Fields = Readonly<Record<string, unknown>>;

export function serveSignalling(
  socket: WebSocket,
  state: MoonlightState,
  credentials: string,
  openPeer: OpenPeer,
): void {
  let stream: MoonlightStream | undefined;
  let peer: Peer | undefined;
  socket.once("close", () => peer?.close());
  socket.on("message", (data) => {
    const message = parse(textOf(data));
    if (stream !== undefined) {
      // Unknown messages are ignored, as the streamer ignores them.
      const signal = message === undefined ? undefined : fieldsOf(message, "Signaling");
      if (signal !== undefined) peer?.receive(signal);
      return;
    }
    // Invalid JSON and wrong credentials end the real handler without a close frame.
    if (message === undefined) return socket.terminate();
    const init = fieldsOf(message, "AuthenticateAndInit");
    if (init === undefined) return socket.close();
    if (!sameSecret(String(init["credentials"]), credentials)) return socket.terminate();
    stream = open(socket, state, init);
    if (stream === undefined) return;
    peer = openPeer(stream.sessionId, (signal) => send(socket, { Signaling: signal }));
  });
}

function open(socket: WebSocket, state: MoonlightState, init: Fields): MoonlightStream | undefined {
  const mode = modeOf(init["mode"]);
  if (mode === undefined) return drop(socket);
  const sessionId = String(init["session_id"]);
  const existing = state.streams.get(sessionId);
  if (existing !== undefined) return reopen(socket, existing, mode, state);
  if (mode === "join") return refuse(socket, "SessionNotFound");
  const host = findHost(state, init["host_id"]);
  if (host === undefined) return refuse(socket, "HostNotFound");
  if (host.paired === "NotPaired") return refuse(socket, "HostNotPaired");
  const app = state.apps.find(({ app_id }) => app_id === init["app_id"]);
  if (app === undefined) return refuse(socket, "AppNotFound");
  if (state.streams.size >= MAX_ENTRIES) return refuse(socket, "InternalServerError");

  const unique = init["client_unique_id"];
  const stream: MoonlightStream = {
    sessionId,
    clientUniqueId: typeof unique === "string" ? unique : null,
    mode,
    hostId: host.host_id,
    detach: undefined,
  };
  state.streams.set(sessionId, stream);
  attach(socket, stream, state);
  send(socket, { UpdateApp: { app } });
  send(socket, { StageComplete: { stage: "Launch Streamer" } });
  send(socket, {
    WebRtcConfig: { ice_servers: [{ urls: ["stun:stun.invalid:3478"], username: "", credential: "" }] },
  });
  for (const stage of STAGES) {
    send(socket, { StageStarting: { stage } });
    send(socket, { StageComplete: { stage } });
  }
  const { width, height } = init;
  send(socket, { ConnectionComplete: { capabilities: { touch: true }, width, height, client_id: null } });
  return stream;
}

/** For an existing session: only `join` is accepted, and replaces the current viewer. */
function reopen(
  socket: WebSocket,
  stream: MoonlightStream,
  mode: StreamMode,
  state: MoonlightState,
): MoonlightStream | undefined {
  if (mode === "create") return refuse(socket, "AlreadyStreaming");
  if (mode === "keepalive") return refuse(socket);
  stream.detach?.("ClientKicked");
  attach(socket, stream, state);
  return stream;
}

function attach(socket: WebSocket, stream: MoonlightStream, state: MoonlightState): void {
  const detach = (reason: object | string): void => {
    send(socket, reason);
    socket.close();
  };
  stream.detach = detach;
  socket.once("close", () => {
    // Another viewer may have joined meanwhile.
    if (stream.detach !== detach) return;
    stream.detach = undefined;
    // A session of mode keepalive outlives its sockets; any other ends with its last one.
    if (stream.mode !== "keepalive" && state.streams.get(stream.sessionId) === stream) {
      state.streams.delete(stream.sessionId);
    }
  });
}

/** Closes the socket instead of opening a stream, optionally after a message with the reason. */
function refuse(socket: WebSocket, reason?: string): undefined {
  if (reason !== undefined) send(socket, reason);
  socket.close();
}

/** Ends the connection without a close frame. */
function drop(socket: WebSocket): undefined {
  socket.terminate();
}

function send(socket: WebSocket, message: object | string): void {
  socket.send(JSON.stringify(message));
}

function modeOf(value: unknown): StreamMode | undefined {
  return value === "create" || value === "keepalive" || value === "join" ? value : undefined;
}

/** `data` is one Buffer: that is ws's default `binaryType` on this side. */
function textOf(data: RawData): string {
  return (data as Buffer).toString("utf8");
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function fieldsOf(message: Fields, tag: string): Fields | undefined {
  const value = message[tag];
  return isFields(value) ? value : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
