/**
 * The routes that lead to a target: one table from which routing, the check of the method and /openapi.json come. A URL
 * that matches no row is the API's. Paths and queries reach the target as the caller wrote them.
 */
import type { z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { Access } from "../auth/access.ts";
import type { Identity } from "../auth/identity.ts";
import type { RoutedJob } from "./job.ts";

/** `Host` that targets of the API see: what a server that checks it expects of a local client. */
const TARGET_HOST = "localhost";

export interface TargetRequest {
  method: string;
  isWebSocket: boolean;
}

/** Values of a path template, as the caller wrote them: nothing is decoded. */
export interface PathParameters {
  readonly [name: string]: string | undefined;
  /** Of a template that ends in `/{path}`: the rest of the path, from its slash. `/` where it is missing. */
  readonly path: string;
  /** The query from its `?`, or empty. */
  readonly query: string;
}

export interface TargetRoute {
  /** Path template of OpenAPI, below the base path. `/{path}` at its end stands for any number of segments. */
  path: string;
  /** Also the path without its `/{path}`, which then means `/`. */
  isPathOptional?: boolean;
  /** Regular expressions of parameters. Default: one segment. */
  patterns?: Readonly<Record<string, string>>;
  /** Methods of HTTP requests. A route without any is left out of the document: it only refuses. */
  methods: readonly string[] | "all";
  kind: "http" | "websocket" | "both";
  summary: string;
  tag: string;
  /** Parameters of the query that the route needs. */
  query?: z.ZodObject;
  /** Refuses callers who may not learn which methods the route has. @throws TurnaboutError */
  authorize?(parameters: PathParameters, identity: Identity): void;
  /** Called only for a method and a kind that the route has. @throws TurnaboutError */
  resolve(parameters: PathParameters, request: TargetRequest, identity: Identity): RoutedJob;
}

export class TargetRoutes {
  readonly #routes: readonly { route: TargetRoute; pattern: RegExp }[];
  readonly #basePath: string;

  /** @param routes the first one whose path matches counts */
  constructor(basePath: string, routes: readonly TargetRoute[]) {
    this.#basePath = basePath;
    this.#routes = routes.map((route) => ({ route, pattern: patternOf(route) }));
  }

  /** Templates of the paths, below the base path. */
  get paths(): readonly string[] {
    return this.#routes.map(({ route }) => route.path);
  }

  /** Whether a URL matches a route, for any caller and any method. */
  has(url: string): boolean {
    return this.#match(url) !== undefined;
  }

  /** Undefined if the URL matches no route; the caller is identified only if it does. @throws TurnaboutError */
  resolve(url: string, request: TargetRequest, identify: () => Identity): RoutedJob | undefined {
    const match = this.#match(url);
    if (match === undefined) return undefined;
    const { route, parameters } = match;
    const identity = identify();
    route.authorize?.(parameters, identity);
    checkMethod(route, request);
    const job = route.resolve(parameters, request, identity);
    const { mount } = job;
    return mount === undefined
      ? job
      : { ...job, mount: { ...mount, path: `${this.#basePath}${mount.path}` } };
  }

  #match(url: string): { route: TargetRoute; parameters: PathParameters } | undefined {
    if (!url.startsWith(this.#basePath)) return undefined;
    const rest = url.slice(this.#basePath.length);
    for (const { route, pattern } of this.#routes) {
      const groups = pattern.exec(rest)?.groups;
      if (groups === undefined) continue;
      return { route, parameters: { ...groups, path: groups["path"] ?? "/", query: groups["query"] ?? "" } };
    }
    return undefined;
  }
}

function patternOf({ path, isPathOptional = false, patterns = {} }: TargetRoute): RegExp {
  const [prefix = "", end] = path.split(/\/\{path\}$/);
  const source = prefix
    .split(/\{(\w+)\}/)
    .map((part, index) =>
      index % 2 === 0 ? RegExp.escape(part) : `(?<${part}>${patterns[part] ?? "[^/?]+"})`,
    );
  const rest = end === undefined ? "" : `(?<path>/[^?]*)${isPathOptional ? "?" : ""}`;
  return new RegExp(String.raw`^${source.join("")}${rest}(?<query>\?[^]*)?$`);
}

/** Of a WebSocket only the kind counts: its method says which version of HTTP it came by. */
function checkMethod({ path, kind, methods }: TargetRoute, { method, isWebSocket }: TargetRequest): void {
  const isKind = kind === "both" || isWebSocket === (kind === "websocket");
  if (isKind && (isWebSocket || methods === "all" || methods.includes(method))) return;
  const [sent, allowed] = isWebSocket
    ? ["WebSocket", "HTTP"]
    : [method, kind === "websocket" ? "WebSocket" : String(methods)];
  throw new TurnaboutError("method_not_allowed", `route ${path}: ${sent}, allowed: ${allowed}`);
}

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
