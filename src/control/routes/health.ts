/** `/healthz`: the process answers. `/readyz`: it should get traffic. `/metrics`: Prometheus. */
import { Hono } from "hono";
import { TurnaboutError } from "../../wire/errors.ts";
import { authenticateBearer } from "../auth/authenticate.ts";
import type { AppContext, AppEnv } from "./app.ts";

export function healthRoutes(context: AppContext): Hono<AppEnv> {
  const routes = new Hono<AppEnv>();
  routes.get("/healthz", (c) => c.text("ok\n"));
  routes.get("/readyz", (c) => {
    const { ready } = context.ready();
    return c.json({ ready }, ready ? 200 : 503);
  });
  routes.get("/metrics", async (c) => {
    const identity = authenticateBearer(c.env.incoming.headers, context.tokens);
    if (!identity.mayAdminister) throw new TurnaboutError("not_allowed", "metrics need an admin token");
    const { registry } = context.metrics;
    return c.body(await registry.metrics(), 200, { "content-type": registry.contentType });
  });
  return routes;
}
