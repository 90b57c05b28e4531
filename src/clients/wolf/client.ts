/** Wolf's whole API, typed. Field names are Wolf's; fields that are not named here are kept. */
import type { Dial } from "../../wire/streams/dial.ts";
import type { CallOptions } from "../http/call.ts";
import { overTunnel, overUnixSocket } from "../dial/open-stream.ts";
import type { OpenStream } from "../dial/open-stream.ts";
import { WolfApi } from "./api.ts";
import { WolfApps, WolfProfiles } from "./apps.ts";
import { WolfClients, WolfPairing } from "./paired-clients.ts";
import { WolfEventStream } from "./events.ts";
import { WolfImages } from "./images.ts";
import { RESPONSE_TIMEOUT_MS, EVENT_SILENCE_TIMEOUT_MS } from "./limits.ts";
import { WolfLobbies } from "./lobbies.ts";
import { WolfSessions } from "./sessions.ts";
import { WolfSystem } from "./system.ts";

/**
 * Every call can be aborted and has a deadline. Errors:
 * - {@link WolfError}: Wolf refused, with a reason;
 * - TurnaboutError `overloaded`, `tunnel_timeout`, `runner_offline`, `target_refused`, …: Wolf has not seen the request;
 * - TurnaboutError `response_timeout`, `target_closed`, `tunnel_lost`, `aborted`, …: Wolf may have processed it.
 */
export interface WolfClient {
  readonly apps: WolfApps;
  readonly profiles: WolfProfiles;
  readonly clients: WolfClients;
  readonly pairing: WolfPairing;
  readonly sessions: WolfSessions;
  readonly lobbies: WolfLobbies;
  readonly images: WolfImages;
  readonly system: WolfSystem;
  /** Resolves when Wolf has accepted the subscription: the stream has all later events. */
  events(options?: CallOptions): Promise<WolfEventStream>;
}

/**
 * @param open gives a connection to Wolf's socket, a new one for each call: {@link wolfOverTunnel}, {@link wolfOverUnixSocket}
 * @example
 * ```ts
 * const wolf = createWolfClient(wolfOverTunnel(controlPlane.dial, "wolf-local"));
 * for (const lobby of await wolf.lobbies.list()) console.log(lobby.name);
 * ```
 */
export function createWolfClient(open: OpenStream): WolfClient {
  const api = new WolfApi(open);
  return {
    apps: new WolfApps(api),
    profiles: new WolfProfiles(api),
    clients: new WolfClients(api),
    pairing: new WolfPairing(api),
    sessions: new WolfSessions(api),
    lobbies: new WolfLobbies(api),
    images: new WolfImages(api),
    system: new WolfSystem(api),
    events: async (options) => {
      const response = await api.stream(
        {
          method: "GET",
          path: "/events",
          timeoutMs: RESPONSE_TIMEOUT_MS,
          silenceTimeoutMs: EVENT_SILENCE_TIMEOUT_MS,
        },
        options,
      );
      return new WolfEventStream(response, "wolf GET /events");
    },
  };
}

/** Wolf as the runner's target `wolf`. */
export function wolfOverTunnel(dial: Dial, runner: string): OpenStream {
  return overTunnel(dial, runner, "wolf");
}

/** Wolf on this machine. */
export function wolfOverUnixSocket(path: string): OpenStream {
  return overUnixSocket(path);
}
