/**
 * The conversation on `WS /api/host/stream`, in text messages of JSON (Rust's externally tagged enums).
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

export function converse(
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
    // What is not JSON, or has the wrong credentials, ends the real handler: no close frame, just the end.
    if (message === undefined) return socket.terminate();
    const init = fieldsOf(message, "AuthenticateAndInit");
    if (init === undefined) return socket.close();
    if (!sameSecret(String(init["credentials"]), credentials)) return socket.terminate();
    stream = open(socket, state, init);
    if (stream === undefined) return;
    peer = openPeer(stream.sessionId, (signal) => say(socket, { Signaling: signal }));
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
  say(socket, { UpdateApp: { app } });
  say(socket, { StageComplete: { stage: "Launch Streamer" } });
  say(socket, {
    WebRtcConfig: { ice_servers: [{ urls: ["stun:stun.invalid:3478"], username: "", credential: "" }] },
  });
  for (const stage of STAGES) {
    say(socket, { StageStarting: { stage } });
    say(socket, { StageComplete: { stage } });
  }
  const { width, height } = init;
  say(socket, { ConnectionComplete: { capabilities: { touch: true }, width, height, client_id: null } });
  return stream;
}

/** A session that exists: only `join` gets in, and whoever was there is thrown out. */
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
  const detach = (word: object | string): void => {
    say(socket, word);
    socket.close();
  };
  stream.detach = detach;
  socket.once("close", () => {
    // Somebody else may have taken over meanwhile.
    if (stream.detach !== detach) return;
    stream.detach = undefined;
    // A kept-alive session outlives its sockets; every other one ends with the last of them.
    if (stream.mode !== "keepalive" && state.streams.get(stream.sessionId) === stream) {
      state.streams.delete(stream.sessionId);
    }
  });
}

/** In place of a stream, with a word of why or without one. */
function refuse(socket: WebSocket, word?: string): undefined {
  if (word !== undefined) say(socket, word);
  socket.close();
}

/** The end without a close frame. */
function drop(socket: WebSocket): undefined {
  socket.terminate();
}

function say(socket: WebSocket, message: object | string): void {
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
