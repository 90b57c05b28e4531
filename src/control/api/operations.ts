/** What operators use: `/healthz`, `/readyz`, `/metrics`, `/openapi.json`, `/docs`. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { authenticateBearer } from "../auth/authenticate.ts";
import type { ApiDocument } from "../reference/document.ts";
import { REFERENCE_POLICY, referencePage } from "../reference/page.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { responses, REFUSED } from "./schemas.ts";

const PUBLIC = { security: [], tags: ["operations"] };
const readySchema = z.object({
  ready: z.boolean(),
  store: z.string().openapi({ description: "`ok`, or why changes cannot be saved", example: "ok" }),
});
const text = { content: { "text/plain": { schema: z.string() } } };

const health = createRoute({
  ...PUBLIC,
  method: "get",
  path: "/healthz",
  operationId: "getHealth",
  summary: "Whether the process responds",
  responses: { 200: { description: "The process responds", ...text } },
});
const readiness = createRoute({
  ...PUBLIC,
  method: "get",
  path: "/readyz",
  operationId: "getReadiness",
  summary: "Whether it should get traffic",
  responses: {
    200: { description: "Ready", content: { "application/json": { schema: readySchema } } },
    503: { description: "Not ready", content: { "application/json": { schema: readySchema } } },
  },
});
const metrics = createRoute({
  method: "get",
  path: "/metrics",
  security: [{ bearer: [] }],
  tags: ["operations"],
  operationId: "getMetrics",
  summary: "Metrics, in the text format of Prometheus (admin)",
  responses: { 200: { description: "Metrics", ...text }, ...REFUSED },
});
const openApi = createRoute({
  ...PUBLIC,
  method: "get",
  path: "/openapi.json",
  operationId: "getOpenApiDocument",
  summary: "The OpenAPI document",
  responses: responses(200, "The OpenAPI document", z.looseObject({ openapi: z.string() })),
});

const reference = createRoute({
  ...PUBLIC,
  method: "get",
  path: "/docs",
  operationId: "getApiReference",
  summary: "The API as a page for people",
  responses: { 200: { description: "The page", content: { "text/html": { schema: z.string() } } } },
});

/** @param document the OpenAPI document of all routes, as JSON */
export function operationRoutes(context: AppContext, document: () => string): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>();
  routes.openapi(health, (c) => c.text("ok\n", 200));
  routes.openapi(readiness, (c) => {
    const { ready } = context.ready();
    // A store that cannot be written is no reason to send callers elsewhere: tunnels serve.
    return c.json({ ready, store: context.store.inspect() ?? "ok" }, ready ? 200 : 503);
  });
  routes.openapi(metrics, async (c) => {
    const identity = authenticateBearer(c.env.incoming.headers, context.tokens);
    if (!identity.mayAdminister) throw new TurnaboutError("not_allowed", "metrics: needs an admin token");
    const { registry } = context.metrics;
    return c.text(await registry.metrics(), 200, { "content-type": registry.contentType });
  });
  routes.openAPIRegistry.registerPath(openApi);
  routes.get(openApi.path, (c) => c.body(document(), 200, { "content-type": "application/json" }));
  routes.openAPIRegistry.registerPath(reference);
  let page: Promise<string> | undefined;
  routes.get(reference.path, async (c) => {
    page ??= referencePage(JSON.parse(document()) as ApiDocument);
    return c.body(await page, 200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": REFERENCE_POLICY,
      "referrer-policy": "no-referrer",
    });
  });
  return routes;
}
