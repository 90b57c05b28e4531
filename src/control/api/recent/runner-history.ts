/** `GET /api/v1/runners/{id}/history`: its connects and losses, with reasons. Addresses and credentials are for admins. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../../wire/errors.ts";
import type { RunnerEvent } from "../../history/runner-history.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { maySeeRunner } from "../runners.ts";
import { responses } from "../schemas.ts";
import { refuseInvalid } from "../validation.ts";

const eventSchema = z
  .object({
    time: z.string(),
    type: z.enum(["connected", "replaced", "rerouted", "lost", "grace-expired"]),
    connection: z.string().optional(),
    restarted: z.boolean().optional(),
    discovered: z.boolean().optional(),
    reason: z.string().optional().openapi({ description: "Of a loss" }),
    lastedMs: z.number().optional().openapi({ description: "Of a loss: how long its connection was open" }),
    carrier: z.string().optional(),
    version: z.string().optional(),
    credential: z.string().optional().openapi({ description: "Id (admin)" }),
    peer: z.string().optional().openapi({ description: "Address (admin)" }),
  })
  .openapi("RunnerEvent");

const get = createRoute({
  method: "get",
  path: "/{id}/history",
  tags: ["runners"],
  operationId: "getRunnerHistory",
  summary: "What happened to a runner since this process started, the latest first",
  request: { params: z.object({ id: z.string() }) },
  responses: responses(200, "Its events", z.object({ events: z.array(eventSchema) })),
});

export function runnerHistoryRoutes({ access, registry, runnerHistory }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.openapi(get, (c) => {
    const identity = c.get("identity");
    const { id } = c.req.valid("param");
    const view = registry.view(id);
    if (view === undefined || !maySeeRunner(identity, view, access)) {
      throw new TurnaboutError("runner_unknown", `runner ${JSON.stringify(id)} is not known`);
    }
    const events = runnerHistory.of(id).map(({ value }) => describe(value, identity.mayAdminister));
    return c.json({ events }, 200);
  });
  return routes;
}

function describe(event: RunnerEvent, isAdmin: boolean): z.output<typeof eventSchema> {
  const { atMs, credential, peer, ...shown } = event;
  return { time: new Date(atMs).toISOString(), ...shown, ...(isAdmin && { credential, peer }) };
}
