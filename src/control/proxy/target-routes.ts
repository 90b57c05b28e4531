/**
 * The routes to targets: one table for routing, for the check of methods, and for /openapi.json. URLs that match no route
 * go to the API. Paths and queries reach the target as the caller wrote them.
 */
import type { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import { isRunnerId, isTargetName } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { Access } from "../auth/access.ts";
import type { Identity } from "../auth/identity.ts";
import type { Redirect, RoutedJob } from "./job.ts";

/** `Host` for targets, unless the agent declares another: what a server that checks it expects of a local client. */
const TARGET_HOST = "localhost";

/** What `Allow` lists where a WebSocket comes to a route that has all methods, but no WebSockets. */
const COMMON_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export interface TargetRequest {
  method: string;
  isWebSocket: boolean;
}

/** Values of the parameters in a path template. They are not decoded. */
export interface PathParameters {
  readonly [name: string]: string | undefined;
  /** What stands for `/{path}`, with its first slash; `/` if it is missing. */
  readonly path: string;
  /** The query with its `?`, or empty. */
  readonly query: string;
}

export interface TargetRoute {
  /** OpenAPI path template, without the base path. `/{path}` at its end matches any number of segments. */
  path: string;
  /** The route matches without `/{path}` too. Default: it does not. */
  isPathOptional?: boolean;
  /** Regular expressions of parameters, by name, without groups. Default: any one segment. */
  patterns?: Readonly<Record<string, string>>;
  /** Methods of HTTP requests. A route without any only refuses, and the document leaves it out. */
  methods: readonly string[] | "all";
  kind: "http" | "websocket" | "both";
  summary: string;
  tag: string;
  /** Required parameters of the query, for the document. */
  query?: z.ZodObject;
  /**
   * Pages of the target's send an `Authorization` of their own: where our cookie identifies the caller, that counts.
   */
  hasPages?: boolean;
  /** Where it leads, if the path alone has it: the record of a refusal names it. */
  destinationOf?(parameters: PathParameters): Destination | undefined;
  /** Called before the method is checked, to refuse callers who may not learn which the route has. @throws TurnaboutError */
  authorize?(parameters: PathParameters, identity: Identity): void;
  /** Called after the method and the kind are checked. @throws TurnaboutError */
  resolve(parameters: PathParameters, request: TargetRequest, identity: Identity): RoutedJob | Redirect;
}

export class TargetRoutes {
  readonly #routes: readonly MatchedRoute[];
  readonly #basePath: string;

  /** @param routes in order: the first one whose path matches is used */
  constructor(basePath: string, routes: readonly TargetRoute[]) {
    this.#basePath = basePath;
    this.#routes = routes.map(compile);
  }

  /** Path templates, without the base path. */
  get paths(): readonly string[] {
    return this.#routes.map(({ route }) => route.path);
  }

  /** Whether a URL matches a route, for any caller and any method. */
  has(url: string): boolean {
    return this.#match(url) !== undefined;
  }

  /**
   * @param identify called only if a route matches
   * @returns undefined if none does
   * @throws TurnaboutError `method_not_allowed`, or as `identify` and the route do
   */
  resolve(
    url: string,
    request: TargetRequest,
    identify: (route: TargetRoute, destination: Destination | undefined) => Identity,
  ): RoutedJob | Redirect | undefined {
    const match = this.#match(url);
    if (match === undefined) return undefined;
    const { route, parameters } = match;
    const identity = identify(route, route.destinationOf?.(parameters));
    route.authorize?.(parameters, identity);
    checkMethod(route, request);
    const job = route.resolve(parameters, request, identity);
    if ("redirect" in job) return job;
    const { mount } = job;
    if (mount === undefined || this.#basePath === "") return job;
    return { ...job, mount: { ...mount, path: `${this.#basePath}${mount.path}` } };
  }

  #match(url: string): { route: TargetRoute; parameters: PathParameters } | undefined {
    if (!url.startsWith(this.#basePath)) return undefined;
    const rest = url.slice(this.#basePath.length);
    for (const { route, pattern, names } of this.#routes) {
      const match = pattern.exec(rest);
      if (match !== null) return { route, parameters: parametersOf(match, names) };
    }
    return undefined;
  }
}

interface MatchedRoute {
  route: TargetRoute;
  pattern: RegExp;
  /** Of the pattern's groups. Named groups would take several times as long for each request. */
  names: readonly string[];
}

function compile(route: TargetRoute): MatchedRoute {
  const { path, isPathOptional = false, patterns = {} } = route;
  const [prefix = "", end] = path.split(/\/\{path\}$/);
  const parts = prefix.split(/\{(\w+)\}/);
  const source = parts.map((part, index) =>
    index % 2 === 0 ? RegExp.escape(part) : `(${patterns[part] ?? "[^/?]+"})`,
  );
  const rest = end === undefined ? "" : `(/[^?]*)${isPathOptional ? "?" : ""}`;
  const names = parts.filter((_, index) => index % 2 === 1);
  return {
    route,
    pattern: new RegExp(String.raw`^${source.join("")}${rest}(\?[^]*)?$`),
    names: [...names, ...(end === undefined ? [] : ["path"]), "query"],
  };
}

function parametersOf(match: RegExpExecArray, names: readonly string[]): PathParameters {
  const parameters: Record<string, string> & PathParameters = { path: "/", query: "" };
  for (const [index, name] of names.entries()) {
    const value = match[index + 1];
    if (value !== undefined) parameters[name] = value;
  }
  return parameters;
}

/** The method of a WebSocket request depends on the HTTP version (GET or CONNECT), so only its kind is checked. */
function checkMethod({ path, kind, methods }: TargetRoute, { method, isWebSocket }: TargetRequest): void {
  const isKind = kind === "both" || isWebSocket === (kind === "websocket");
  if (isKind && (isWebSocket || methods === "all" || methods.includes(method))) return;
  const [sent, allowed] = isWebSocket
    ? ["WebSocket", "HTTP"]
    : [method, kind === "websocket" ? "WebSocket" : String(methods)];
  throw new TurnaboutError("method_not_allowed", `route ${path}: ${sent}, allowed: ${allowed}`, {
    allow: methods === "all" ? COMMON_METHODS : methods,
  });
}

/** @param group of runners, with which the streams of the job are closed */
export function targetJob(
  destination: Destination,
  path: string,
  identity: Identity,
  group?: string,
): RoutedJob {
  return { destination, path, mode: "api", host: TARGET_HOST, identity, group };
}

/** `/api/v1/runners/{id}/targets/{target}/{path}`: any target of any runner. */
export function runnerTargets(access: Pick<Access, "mayDial" | "groupOf">): TargetRoute {
  return {
    path: "/api/v1/runners/{id}/targets/{target}/{path}",
    isPathOptional: true,
    methods: "all",
    kind: "both",
    summary: "HTTP and WebSocket to any target",
    tag: "targets",
    destinationOf: ({ id: runner = "", target = "" }) =>
      isRunnerId(runner) && isTargetName(target) ? { runner, target } : undefined,
    resolve: ({ id: runner = "", target = "", path, query }, _request, identity) => {
      if (!access.mayDial(identity, runner, target)) {
        throw new TurnaboutError("not_allowed", `${identity.id} may not dial ${runner} ${target}`);
      }
      return {
        ...targetJob({ runner, target }, `${path}${query}`, identity, access.groupOf(runner)),
        mount: { path: `/api/v1/runners/${runner}/targets/${target}`, targetPath: "" },
        hasCookies: true,
      };
    },
  };
}
