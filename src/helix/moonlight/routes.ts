/** Routes to the Moonlight Web of a session's instance: signalling, and its API with the session in the query. */
import { z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { targetJob, withoutParameters } from "../../control/extension.ts";
import type { Identity, RoutedJob, TargetRequest, TargetRoute } from "../../control/extension.ts";
import { moonlightRunner, sessionOfQuery } from "../ids.ts";
import { required } from "../parameters.ts";
import type { Policy } from "../sessions/policy.ts";
import type { Session } from "../store/sessions.ts";
import { credentialPump } from "./credentials.ts";
import type { OpenedStreams } from "./opened-streams.ts";
import type { StreamRate } from "./stream-rate.ts";
import { isSignalling, mayUseMoonlight, moonlightPath } from "./viewer-access.ts";
import { passesToMoonlight, viewerName } from "./viewer-identity.ts";

export interface MoonlightRoutesContext {
  policy: Pick<Policy, "openSession">;
  rate: StreamRate;
  opened: Pick<OpenedStreams, "of">;
  /** Moonlight Web's shared secret; without it its routes are refused. */
  moonlightCredentials: string | undefined;
  /** The field in which Moonlight Web gets a viewer's name, in lower case, if it takes one. */
  moonlightUserHeader?: string | undefined;
}

/** @throws TurnaboutError `not_allowed` for a user, `not_found` without credentials */
export function moonlightJob(
  { rate, opened, moonlightCredentials, moonlightUserHeader }: MoonlightRoutesContext,
  session: Session,
  { path, request, identity, isAllowed }: MoonlightRequest,
): RoutedJob {
  if (!identity.mayAdminister && !isAllowed) {
    throw new TurnaboutError("not_allowed", `moonlight: ${request.method} ${path} needs an admin token`);
  }
  if (moonlightCredentials === undefined) {
    throw new TurnaboutError("not_found", "moonlight: no credentials are configured");
  }
  const destination = { runner: moonlightRunner(session.instanceId), target: "moonlight" };
  return {
    ...targetJob(destination, path, identity, session.id),
    credentials: moonlightCredentials,
    passes: passesToMoonlight,
    ...(moonlightUserHeader !== undefined && { added: { [moonlightUserHeader]: viewerName(identity) } }),
    // Other WebSockets of Moonlight Web are for admins: they authenticate by the field, and their messages are their own.
    ...(isSignalling(path) && {
      fromCaller: (refuse) => credentialPump(moonlightCredentials, opened.of(session), refuse),
    }),
    ...(request.isWebSocket && { admit: () => rate.take(session.id) }),
  };
}

export interface MoonlightRequest {
  /** Path and query at Moonlight Web. */
  path: string;
  request: TargetRequest;
  identity: Identity;
  /** To a user; an admin may all. */
  isAllowed: boolean;
}

export function moonlightRoutes(context: MoonlightRoutesContext): TargetRoute[] {
  function jobOf(id: string, path: string, request: TargetRequest, identity: Identity): RoutedJob {
    const session = context.policy.openSession(identity, sessionOfQuery(id));
    const job = moonlightJob(context, session, {
      path: withoutParameters(path, ["session_id"]),
      request,
      identity,
      isAllowed: mayUseMoonlight(path, request),
    });
    const query = `session_id=${encodeURIComponent(id)}`;
    return { ...job, mount: { path: "/moonlight", targetPath: "", query } };
  }
  return [
    {
      path: "/api/v1/stream/{session}",
      methods: ["GET"],
      kind: "websocket",
      summary: "WebSocket: Moonlight signalling",
      tag: "moonlight",
      resolve: ({ session = "", query }, request, identity) =>
        jobOf(session, `/api/host/stream${query}`, request, identity),
    },
    {
      path: "/moonlight/{path}",
      isPathOptional: true,
      methods: "all",
      kind: "both",
      summary: "Moonlight Web of the session's instance (what a viewer needs; all of it for admins)",
      tag: "moonlight",
      query: z.object({ session_id: z.string() }),
      resolve: ({ path, query }, request, identity) =>
        jobOf(
          required("session_id", query, sessionOfQuery),
          moonlightPath(`${path}${query}`),
          request,
          identity,
        ),
    },
  ];
}
