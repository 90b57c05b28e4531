/** Helix's routes to targets: Wolf, the sandbox of a session, and Moonlight Web. */
import { z } from "@hono/zod-openapi";
import { TurnaboutError } from "../wire/errors.ts";
import { targetJob, withoutParameters } from "../control/extension.ts";
import type {
  ExtensionHost,
  ExtensionRunners,
  Identity,
  PathParameters,
  TargetRoute,
} from "../control/extension.ts";
import { desktopRunner, sandboxRunner, wolfRunner } from "./ids.ts";
import type { Instances } from "./instances/instances.ts";
import { pageRoutes } from "./moonlight/page-routes.ts";
import type { PageRoutesContext } from "./moonlight/page-routes.ts";
import { moonlightRoutes } from "./moonlight/routes.ts";
import { required } from "./parameters.ts";

export interface HelixRoutesContext extends PageRoutesContext {
  access: ExtensionHost["access"];
  instances: Pick<Instances, "get">;
  runners: Pick<ExtensionRunners, "isReachable">;
}

export function helixTargetRoutes(context: HelixRoutesContext): TargetRoute[] {
  return [wolfRoute(context), ...sandboxRoutes(context), ...pageRoutes(context), ...moonlightRoutes(context)];
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
function sandboxRoutes({ policy, runners }: HelixRoutesContext): TargetRoute[] {
  /** The sandbox's, unless only the desktop's own agent is there. */
  const runnerOf = (session: string): string => {
    const [sandbox, desktop] = [sandboxRunner(session), desktopRunner(session)];
    return !runners.isReachable(sandbox) && runners.isReachable(desktop) ? desktop : sandbox;
  };
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
      ...targetJob({ runner: runnerOf(session), target: "screenshot" }, `${path}${query}`, identity, session),
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
