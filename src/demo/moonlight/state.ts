/** State of the Moonlight Web double: hosts, their apps, and running streams. */
import { MAX_ENTRIES } from "./limits.ts";

export interface MoonlightApp {
  app_id: number;
  title: string;
  is_hdr_supported: boolean;
}

export interface MoonlightHost {
  host_id: number;
  name: string;
  paired: "Paired" | "NotPaired";
  address: string;
  http_port: number;
}

/** Who has the socket of a stream. */
export interface StreamHolder {
  /** Gets the reason, then the socket is closed. */
  leave(reason: object | string): void;
}

export interface MoonlightStream {
  readonly sessionId: string;
  readonly clientUniqueId: string | null;
  readonly mode: string;
  readonly hostId: number;
  /** The streamer's process. */
  readonly streamerPid: number;
  isStreamerAlive: boolean;
  viewer: StreamHolder | undefined;
  /** The socket of a `keepalive`, which has no viewer. */
  keeper: StreamHolder | undefined;
}

export interface MoonlightState {
  readonly hosts: MoonlightHost[];
  readonly apps: readonly MoonlightApp[];
  readonly streams: Map<string, MoonlightStream>;
  /** Of a streamer. */
  lastPid: number;
}

export function seedState(): MoonlightState {
  return {
    hosts: [
      { host_id: 0, name: "wolf", paired: "Paired", address: "127.0.0.1", http_port: 47_989 },
      { host_id: 1, name: "new-host", paired: "NotPaired", address: "172.19.0.30", http_port: 47_989 },
    ],
    apps: [
      { app_id: 134_906_179, title: "Wolf UI", is_hdr_supported: false },
      { app_id: 897_611_421, title: "Sway Desktop", is_hdr_supported: false },
    ],
    streams: new Map(),
    lastPid: 4_000,
  };
}

export function findHost(state: MoonlightState, hostId: unknown): MoonlightHost | undefined {
  return state.hosts.find(({ host_id }) => host_id === Number(hostId));
}

/** Undefined when there are too many. */
export function addHost(
  state: MoonlightState,
  address: string,
  http_port: number,
): MoonlightHost | undefined {
  if (state.hosts.length >= MAX_ENTRIES) return undefined;
  const host_id = 1 + Math.max(-1, ...state.hosts.map((host) => host.host_id));
  const host: MoonlightHost = { host_id, name: address, paired: "NotPaired", address, http_port };
  state.hosts.push(host);
  return host;
}

/** The short form, of `/api/hosts`. */
export function undetailed(state: MoonlightState, host: MoonlightHost): object {
  const { host_id, name, paired } = host;
  return { host_id, name, paired, server_state: serverState(state, host) };
}

/** The long form, of `/api/host` and of a pairing that succeeded. */
export function detailed(state: MoonlightState, host: MoonlightHost): object {
  const { host_id, name, paired, address, http_port } = host;
  return {
    host_id,
    name,
    paired,
    server_state: serverState(state, host),
    address,
    http_port,
    https_port: 47_984,
    external_port: http_port,
    version: "7.1.431.-1",
    gfe_version: "3.23.0.74",
    unique_id: "01234567-89ab-cdef-0123-456789abcdef",
    mac: null,
    local_ip: address,
    current_game: 0,
    max_luma_pixels_hevc: 1_869_449_984,
    server_codec_mode_support: 259,
  };
}

export function addStream(
  state: MoonlightState,
  stream: Pick<MoonlightStream, "sessionId" | "clientUniqueId" | "mode" | "hostId">,
): MoonlightStream {
  state.lastPid += 1;
  const { lastPid: streamerPid } = state;
  const added = { ...stream, streamerPid, isStreamerAlive: true, viewer: undefined, keeper: undefined };
  state.streams.set(stream.sessionId, added);
  return added;
}

/** Its streamer ends. The entry of a kept stream stays, as `/api/sessions` shows, unless it was Helix's first start. */
export function endStream(state: MoonlightState, stream: MoonlightStream): void {
  stream.isStreamerAlive = false;
  stream.viewer = undefined;
  stream.keeper = undefined;
  const stays = stream.mode === "keepalive" && !stream.sessionId.endsWith("-kickoff");
  if (!stays && state.streams.get(stream.sessionId) === stream) state.streams.delete(stream.sessionId);
}

/** Ends every stream of a host, as `/api/host/cancel` does. */
export function cancelStreams(state: MoonlightState, host: MoonlightHost): void {
  for (const stream of state.streams.values()) {
    if (stream.hostId !== host.host_id) continue;
    state.streams.delete(stream.sessionId);
    const { viewer, keeper } = stream;
    endStream(state, stream);
    for (const holder of [viewer, keeper]) holder?.leave({ ConnectionTerminated: { error_code: 0 } });
  }
}

/** As `/api/sessions` lists them. */
export function listStreams(state: MoonlightState): object[] {
  return [...state.streams.values()].map((stream) => ({
    session_id: stream.sessionId,
    client_unique_id: stream.clientUniqueId,
    mode: stream.mode,
    has_websocket: stream.viewer !== undefined,
    streamer_pid: stream.streamerPid,
    streamer_alive: stream.isStreamerAlive,
  }));
}

function serverState(state: MoonlightState, host: MoonlightHost): "Busy" | "Free" {
  return [...state.streams.values()].some(({ hostId }) => hostId === host.host_id) ? "Busy" : "Free";
}
