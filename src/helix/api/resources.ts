/** Helix's resources of the API. */
import type { ApiResource, DeleteOwned } from "../../control/extension.ts";
import { sessionRoutes } from "./sessions.ts";
import type { SessionRoutesContext } from "./sessions.ts";
import { wolfInstanceRoutes } from "./wolf-instances.ts";
import type { WolfInstanceRoutesContext } from "./wolf-instances.ts";

export interface HelixApiContext extends SessionRoutesContext, WolfInstanceRoutesContext {}

export function helixResources(context: HelixApiContext): ApiResource[] {
  return [
    { path: "/api/v1/sessions", routes: sessionRoutes(context) },
    { path: "/api/v1/wolf-instances", routes: wolfInstanceRoutes(context) },
  ];
}

/** Deletes the sessions of a user whose tokens are revoked. */
export function deleteSessionsOf({
  sessions,
  sessionStore,
}: Pick<HelixApiContext, "sessions" | "sessionStore">): DeleteOwned {
  return async (owner) => {
    const owned = sessionStore.list().filter((session) => session.owner === owner);
    await Promise.all(owned.map((session) => sessions.remove(session)));
    return owned.length;
  };
}
