/** The routes that lead to targets, for /openapi.json: Hono does not serve them. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { TargetRoute } from "../proxy/target-routes.ts";
import { SECURITY } from "./schemas.ts";

type OpenApiRegistry = OpenAPIHono["openAPIRegistry"];
type Method = (typeof METHODS)[number];

/** Those that an OpenAPI document can describe; a route for all methods has others too. */
const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"] as const;

const WEBSOCKET = {
  101: { description: "A WebSocket, where the request is for one; on HTTP/2 a 200 (RFC 8441)" },
};
const TARGETS = { 200: { description: "The target's own response, as any other status may be" } };

/** Fields that change how long the control plane waits; neither reaches the target. */
const waiting = z.object({
  Prefer: z
    .string()
    .optional()
    .openapi({ description: "`wait=N`: up to N seconds, at most 120, for a runner that is not connected" }),
  "Turnabout-Timeout": z
    .string()
    .optional()
    .openapi({ description: "Seconds to wait for the target's response header", example: "10" }),
});

/** Browsers cannot set fields on a WebSocket, so there a query parameter is accepted, and only there. */
const OR_PARAMETER = [...SECURITY, { parameter: [] }];

export function describeTargetRoutes(registry: OpenApiRegistry, routes: readonly TargetRoute[]): void {
  for (const route of routes)
    for (const method of methodsOf(route)) describeOperation(registry, route, method);
}

function methodsOf({ methods }: TargetRoute): Method[] {
  return METHODS.filter((method) => methods === "all" || methods.includes(method.toUpperCase()));
}

function describeOperation(registry: OpenApiRegistry, route: TargetRoute, method: Method): void {
  const { path, summary, tag, kind, query } = route;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const params = z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
  const isWebSocket = kind !== "http" && method === "get";
  registry.registerPath({
    method,
    path,
    operationId: operationId(method, path),
    summary,
    tags: [tag],
    ...(isWebSocket && { security: OR_PARAMETER }),
    request: { params, headers: waiting, ...(query !== undefined && { query }) },
    responses: {
      ...(isWebSocket && WEBSOCKET),
      ...(kind !== "websocket" && TARGETS),
      default: { description: "An error of the control plane, with `X-Request-Id`, or of the target" },
    },
  });
}

/** `get /api/v1/runners/{id}/{target}/{path}` → `getRunnersIdTargetPath`. */
function operationId(method: Method, path: string): string {
  const words = path.replace(/^\/api\/v1/, "").match(/\w+/g) ?? [];
  return method + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
}
