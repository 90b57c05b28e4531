/**
 * The routes that lead to a target: from a path and an identity to a destination. Everything is denied unless a route
 * here says otherwise; paths and queries pass as the caller wrote them, less what was meant for us.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { queryOf, withoutParameters } from "../auth/authenticate.ts";
import type { Identity } from "../auth/identity.ts";
import type { Policy } from "../../helix/sessions/policy.ts";
import type { RoutedJob } from "./http-proxy.ts";
import { mayUseMoonlight, moonlightPath } from "../../helix/moonlight/viewer-access.ts";
import type { StreamRate } from "../../helix/moonlight/credentials.ts";
import {
  moonlightRunner,
  sandboxRunner,
  sessionOfQuery,
  sessionOfRunner,
  wolfRunner,
} from "../../helix/ids.ts";
import type { Instances } from "../../helix/instances/instances.ts";

/** `Host` that targets of the API see: what Helix sends, and what a server that checks it expects of a local caller. */
const TARGET_HOST = "localhost";

export interface TargetRoutesContext {
  policy: Policy;
  instances: Instances;
  rate: StreamRate;
  /** Moonlight Web's shared secret; without it its routes are refused. */
  moonlightCredentials: string | undefined;
  basePath: string;
}

export interface Asked {
  method: string;
  isWebSocket: boolean;
}

interface Route {
  /** Against path and query, base path removed. */
  pattern: RegExp;
  resolve(match: RegExpExecArray, asked: Asked, identity: Identity, url: string): RoutedJob;
}

/** Routes of a sandbox: what may be asked, and the path on its server. */
const SANDBOX_HTTP: Readonly<Record<string, readonly string[]>> = {
  screenshot: ["GET", "HEAD"],
  clipboard: ["GET", "POST"],
  upload: ["POST"],
  input: ["POST"],
  exec: ["POST"],
};
const SANDBOX_WEBSOCKETS: ReadonlySet<string> = new Set(["input", "stream", "clipboard"]);

export class TargetRoutes {
  readonly #routes: readonly Route[];
  readonly #basePath: string;

  constructor(context: TargetRoutesContext) {
    this.#basePath = context.basePath;
    this.#routes = [
      targetRoute(context),
      wolfRoute(context),
      sandboxHttpRoute(context),
      sandboxSocketRoute(context),
    ].concat(moonlightRoutes(context));
  }

  /** What is looked for in a path, base path removed. */
  get patterns(): readonly RegExp[] {
    return this.#routes.map(({ pattern }) => pattern);
  }

  /** Undefined if the URL is none of these; the identity is asked for only if it is. @throws TurnaboutError */
  resolve(url: string, asked: Asked, identify: () => Identity): RoutedJob | undefined {
    if (!url.startsWith(this.#basePath)) return undefined;
    const rest = url.slice(this.#basePath.length);
    for (const route of this.#routes) {
      const match = route.pattern.exec(rest);
      if (match !== null) return route.resolve(match, asked, identify(), rest);
    }
    return undefined;
  }
}

/** `ANY /api/v1/runners/{id}/targets/{target}/{path}` */
function targetRoute({ policy, basePath }: TargetRoutesContext): Route {
  return {
    pattern: /^\/api\/v1\/runners\/([^/?]+)\/targets\/([^/?]+)(\/[^]*|\?[^]*)?$/,
    resolve: ([, runner = "", target = "", rest = "/"], _asked, identity) => {
      if (!policy.mayDial(identity, runner, target)) {
        throw new TurnaboutError("not_allowed", `${identity.id} may not dial ${runner} ${target}`);
      }
      const path = rest.startsWith("?") ? `/${rest}` : rest;
      return {
        ...job({ runner, target }, path, identity, sessionOfRunner(runner)),
        mount: { path: `${basePath}/api/v1/runners/${runner}/targets/${target}`, targetPath: "" },
        hasCookies: true,
      };
    },
  };
}

/** `ANY /api/v1/wolf/{path}?wolf_instance_id=`: never a default instance. */
function wolfRoute({ policy, instances, basePath }: TargetRoutesContext): Route {
  return {
    pattern: /^\/api\/v1\/wolf(\/[^?]*)(\?[^]*)?$/,
    resolve: ([, path = "/", query = ""], _asked, identity, url) => {
      const id = queryOf(url).get("wolf_instance_id");
      if (id === null || id === "") throw missing("wolf_instance_id");
      const destination = { runner: wolfRunner(id), target: "wolf" };
      if (!policy.mayDial(identity, destination.runner, "wolf")) {
        throw new TurnaboutError("not_allowed", `${identity.id} may not reach Wolf ${id}`);
      }
      instances.get(id);
      return {
        ...job(destination, withoutParameters(`/api/v1${path}${query}`, ["wolf_instance_id"]), identity),
        mount: {
          path: `${basePath}/api/v1/wolf`,
          targetPath: "/api/v1",
          query: `wolf_instance_id=${encodeURIComponent(id)}`,
        },
      };
    },
  };
}

/** `/api/v1/external-agents/{session}/{screenshot,clipboard,upload,input,exec}` */
function sandboxHttpRoute({ policy, basePath }: TargetRoutesContext): Route {
  return {
    pattern: /^\/api\/v1\/external-agents\/([^/?]+)\/([a-z]+)(\?[^]*)?$/,
    resolve: ([, id = "", name = "", query = ""], asked, identity) => {
      const session = policy.openSession(identity, id);
      const methods = Object.hasOwn(SANDBOX_HTTP, name) ? SANDBOX_HTTP[name] : undefined;
      if (methods === undefined) throw new TurnaboutError("not_found", `sandbox: no route ${name}`);
      if (asked.isWebSocket || !methods.includes(asked.method)) {
        throw new TurnaboutError("method_not_allowed", `sandbox ${name}: ${asked.method}`);
      }
      return sandboxJob(session.id, `/${name}${query}`, identity, basePath);
    },
  };
}

/** `WS /api/v1/external-agents/{session}/ws/{input,stream,clipboard}` */
function sandboxSocketRoute({ policy, basePath }: TargetRoutesContext): Route {
  return {
    pattern: /^\/api\/v1\/external-agents\/([^/?]+)\/ws\/([a-z]+)(\?[^]*)?$/,
    resolve: ([, id = "", name = "", query = ""], asked, identity) => {
      const session = policy.openSession(identity, id);
      if (!SANDBOX_WEBSOCKETS.has(name))
        throw new TurnaboutError("not_found", `sandbox: no WebSocket ${name}`);
      if (!asked.isWebSocket)
        throw new TurnaboutError("method_not_allowed", "sandbox: a WebSocket is needed");
      return sandboxJob(session.id, `/ws/${name}${query}`, identity, basePath);
    },
  };
}

/** `WS /api/v1/stream/{session}` and `ANY /moonlight/*?session_id=` */
function moonlightRoutes(context: TargetRoutesContext): Route[] {
  const { policy, rate, moonlightCredentials, basePath } = context;
  function resolve(id: string | null, path: string, asked: Asked, identity: Identity): RoutedJob {
    if (id === null || id === "") throw missing("session_id");
    const session = policy.openSession(identity, sessionOfQuery(id));
    if (!identity.mayAdminister && !mayUseMoonlight(path, asked)) {
      throw new TurnaboutError("not_allowed", `moonlight: ${asked.method} ${path} needs an admin token`);
    }
    if (moonlightCredentials === undefined) {
      throw new TurnaboutError("not_found", "moonlight: no credentials are configured");
    }
    const destination = { runner: moonlightRunner(session.instanceId), target: "moonlight" };
    const ours = withoutParameters(path, ["session_id"]);
    return {
      ...job(destination, ours, identity, session.id),
      mount: {
        path: `${basePath}/moonlight`,
        targetPath: "",
        query: `session_id=${encodeURIComponent(id)}`,
      },
      credentials: moonlightCredentials,
      ...(asked.isWebSocket && { admit: () => rate.take(session.id) }),
    };
  }
  return [
    {
      pattern: /^\/api\/v1\/stream\/([^/?]+)(\?[^]*)?$/,
      resolve: ([, id = "", query = ""], asked, identity) => {
        if (!asked.isWebSocket)
          throw new TurnaboutError("method_not_allowed", "stream: a WebSocket is needed");
        return resolve(id, `/api/host/stream${query}`, asked, identity);
      },
    },
    {
      pattern: /^\/moonlight(\/[^]*|\?[^]*)?$/,
      resolve: ([, rest = ""], asked, identity, url) =>
        resolve(queryOf(url).get("session_id"), moonlightPath(rest), asked, identity),
    },
  ];
}

function missing(parameter: string): TurnaboutError {
  return new TurnaboutError("bad_request", `${parameter} is missing`, {
    details: [`${parameter}: required in the query`],
  });
}

function sandboxJob(session: string, path: string, identity: Identity, basePath: string): RoutedJob {
  return {
    ...job({ runner: sandboxRunner(session), target: "screenshot" }, path, identity, session),
    mount: { path: `${basePath}/api/v1/external-agents/${session}`, targetPath: "" },
  };
}

function job(destination: Destination, path: string, identity: Identity, session?: string): RoutedJob {
  return {
    destination,
    path,
    route: "api",
    host: TARGET_HOST,
    identity,
    session,
  };
}
