/** The routes of the API: every endpoint of the fork that Helix used, one file a group of resources. */
import type { EventStreams } from "./event-streams.ts";
import { FieldError } from "./fields.ts";
import type { IoThread } from "./io-thread.ts";
import type { LobbyContainers } from "./lobby-containers.ts";
import { failure, plain } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { WolfRequest } from "./request.ts";
import type { WolfState } from "./state.ts";

export interface WolfContext {
  state: WolfState;
  events: EventStreams;
  thread: IoThread;
  /** Blocks every `lobbies/create`; a request may ask for its own. */
  blockLobbyCreateMs: number;
  /** Starts the containers of lobbies. Undefined: none are started. */
  containers: LobbyContainers | undefined;
}

export type Handler = (request: WolfRequest, wolf: WolfContext) => Reply | Promise<Reply>;

/** Keys are `METHOD /path`. */
export type Routes = Readonly<Record<string, Handler>>;

export type Router = (request: WolfRequest, wolf: WolfContext) => Promise<Reply>;

export function createRouter(groups: readonly Routes[]): Router {
  const table = new Map(groups.flatMap((group) => Object.entries(group)));
  return async (request, wolf) => {
    const handler = table.get(`${request.method} ${request.path}`);
    if (handler === undefined) return plain("", 404);
    try {
      return await handler(request, wolf);
    } catch (error) {
      if (error instanceof FieldError) return failure(error.message);
      throw error;
    }
  };
}
