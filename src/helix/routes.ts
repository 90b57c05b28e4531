/** Helix's routes to targets: Wolf, the sandbox of a session, and Moonlight Web. */
import { z } from "@hono/zod-openapi";
import { TurnaboutError } from "../wire/errors.ts";
import { queryOf, targetJob, withoutParameters } from "../control/extension.ts";
import type {
  ExtensionHost,
  Identity,
  PathParameters,
  RoutedJob,
  TargetRequest,
  TargetRoute,
} from "../control/extension.ts";
import { moonlightRunner, sandboxRunner, sessionOfQuery, wolfRunner } from "./ids.ts";
import type { Instances } from "./instances/instances.ts";
import { credentialPump } from "./moonlight/credentials.ts";
import type { StreamRate } from "./moonlight/stream-rate.ts";
import { isSignalling, mayUseMoonlight, moonlightPath } from "./moonlight/viewer-access.ts";
import type { Policy } from "./sessions/policy.ts";

export interface HelixRoutesContext {
  access: ExtensionHost["access"];
  policy: Pick<Policy, "openSession">;
  instances: Pick<Instances, "get">;
  rate: StreamRate;
  /** Moonlight Web's shared secret; without it its routes are refused. */
  moonlightCredentials: string | undefined;
}

export function helixTargetRoutes(context: HelixRoutesContext): TargetRoute[] {
  return [wolfRoute(context), ...sandboxRoutes(context), ...moonlightRoutes(context)];
}

/** The caller names the instance; there is no default. */
function wolfRoute({ access, instances }: HelixRoutesContext): TargetRoute {
  return {
    path: "/api/v1/wolf/{path}",
    methods: "all",
    kind: "both",
    summary: "Wolf's API of one instance",
    tag: "targets",
    query: z.object({ wolf_instance_id: z.string() }),
    resolve: ({ path, query }, _request, identity) => {
      const id = required("wolf_instance_id", query);
      const destination = { runner: wolfRunner(id), target: "wolf" };
      if (!access.mayDial(identity, destination.runner, "wolf")) {
        throw new TurnaboutError("not_allowed", `wolf: ${identity.id} may not reach instance ${id}`);
      }
      instances.get(id);
      const wolfPath = withoutParameters(`/api/v1${path}${query}`, ["wolf_instance_id"]);
      return {
        ...targetJob(destination, wolfPath, identity),
        mount: {
          path: "/api/v1/wolf",
          targetPath: "/api/v1",
          query: `wolf_instance_id=${encodeURIComponent(id)}`,
        },
      };
    },
  };
}

const SANDBOX = "/api/v1/external-agents/{session}";

const SANDBOX_HTTP: readonly [name: string, methods: readonly string[], summary: string][] = [
  ["screenshot", ["GET", "HEAD"], "The sandbox's screen (format, quality; ETag)"],
  ["clipboard", ["GET", "POST"], "The sandbox's clipboard, text or image"],
  ["upload", ["POST"], "A file for the sandbox"],
  ["input", ["POST"], "Input events"],
  ["exec", ["POST"], "Run an allowed command"],
];
const SANDBOX_WEBSOCKETS: readonly [name: string, summary: string][] = [
  ["input", "WebSocket: input"],
  ["stream", "WebSocket: video"],
  ["clipboard", "WebSocket: clipboard changes"],
];

/** The server in a session's sandbox: the listed paths only. */
function sandboxRoutes({ policy }: HelixRoutesContext): TargetRoute[] {
  /** Other users do not learn that the session exists. */
  const authorize = ({ session = "" }: PathParameters, identity: Identity): void => {
    policy.openSession(identity, session);
  };
  const sandboxRoute = (
    path: string,
    row: Pick<TargetRoute, "kind" | "methods" | "summary">,
  ): TargetRoute => ({
    ...row,
    path: `${SANDBOX}${path}`,
    tag: "sandbox",
    authorize,
    resolve: ({ session = "", query }, _request, identity) => ({
      ...targetJob(
        { runner: sandboxRunner(session), target: "screenshot" },
        `${path}${query}`,
        identity,
        session,
      ),
      mount: { path: `/api/v1/external-agents/${session}`, targetPath: "" },
    }),
  });
  const refuse = (): never => {
    throw new TurnaboutError("not_found", "sandbox: no such route");
  };
  /** Any other name. */
  const unknownRoute = (path: string): TargetRoute => ({
    path: `${SANDBOX}${path}`,
    patterns: { name: "[a-z]+" },
    methods: [],
    kind: "both",
    summary: "No such route",
    tag: "sandbox",
    authorize: (parameters, identity) => {
      authorize(parameters, identity);
      refuse();
    },
    resolve: refuse,
  });
  return [
    ...SANDBOX_HTTP.map(([name, methods, summary]) =>
      sandboxRoute(`/${name}`, { kind: "http", methods, summary }),
    ),
    ...SANDBOX_WEBSOCKETS.map(([name, summary]) =>
      sandboxRoute(`/ws/${name}`, { kind: "websocket", methods: ["GET"], summary }),
    ),
    unknownRoute("/{name}"),
    unknownRoute("/ws/{name}"),
  ];
}

function moonlightRoutes(context: HelixRoutesContext): TargetRoute[] {
  const { policy, rate, moonlightCredentials } = context;
  function moonlightJob(id: string, path: string, request: TargetRequest, identity: Identity): RoutedJob {
    const session = policy.openSession(identity, sessionOfQuery(id));
    if (!identity.mayAdminister && !mayUseMoonlight(path, request)) {
      throw new TurnaboutError("not_allowed", `moonlight: ${request.method} ${path} needs an admin token`);
    }
    if (moonlightCredentials === undefined) {
      throw new TurnaboutError("not_found", "moonlight: no credentials are configured");
    }
    const destination = { runner: moonlightRunner(session.instanceId), target: "moonlight" };
    return {
      ...targetJob(destination, withoutParameters(path, ["session_id"]), identity, session.id),
      mount: {
        path: "/moonlight",
        targetPath: "",
        query: `session_id=${encodeURIComponent(id)}`,
      },
      credentials: moonlightCredentials,
      // Other WebSockets of Moonlight Web are for admins: they authenticate by the field, and their messages are their own.
      ...(isSignalling(path) && {
        fromCaller: (refuse) => credentialPump(moonlightCredentials, session.id, refuse),
      }),
      ...(request.isWebSocket && { admit: () => rate.take(session.id) }),
    };
  }
  return [
    {
      path: "/api/v1/stream/{session}",
      methods: ["GET"],
      kind: "websocket",
      summary: "WebSocket: Moonlight signalling",
      tag: "moonlight",
      resolve: ({ session = "", query }, request, identity) =>
        moonlightJob(session, `/api/host/stream${query}`, request, identity),
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
        moonlightJob(
          required("session_id", query, sessionOfQuery),
          moonlightPath(`${path}${query}`),
          request,
          identity,
        ),
    },
  ];
}

/**
 * A parameter that decides where a request goes. Of two with different values another server might take the other one.
 *
 * @param meant what a value stands for. Default: itself
 * @throws TurnaboutError `bad_request`
 */
function required(
  parameter: string,
  query: string,
  meant: (value: string) => string = (value) => value,
): string {
  const values = queryOf(query).getAll(parameter);
  const [value = "", other] = new Set(values.map(meant));
  if (value !== "" && other === undefined) return values[0] ?? value;
  const problem = other === undefined ? "is missing" : "has several values";
  throw new TurnaboutError("bad_request", `${parameter} ${problem}`, {
    details: [`${parameter}: required in the query, with one value`],
  });
}
