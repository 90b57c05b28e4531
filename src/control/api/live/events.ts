/** `GET /api/v1/events`: server-sent events. An admin reads all of them, a user those about what the user owns. */
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Access } from "../../auth/access.ts";
import type { Identity } from "../../auth/identity.ts";
import type { ControlEvent } from "../../event-bus.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { REFUSED } from "../schemas.ts";
import { openReader } from "./open-reader.ts";

const read = createRoute({
  method: "get",
  path: "/",
  tags: ["events"],
  operationId: "readEvents",
  summary: "Events of runners and of what users own, as server-sent events; a user reads the user's own",
  responses: {
    200: { description: "Events", content: { "text/event-stream": { schema: { type: "string" } } } },
    ...REFUSED,
  },
});

export function eventRoutes(context: AppContext): OpenAPIHono<AppEnv> {
  const { access, bus, shares } = context;
  const routes = new OpenAPIHono<AppEnv>();
  routes.openapi(read, (c) => {
    const identity = c.get("identity");
    return openReader(c, context, shares.eventReaders, ({ stream, end }) => ({
      stop: bus.subscribe((event) => {
        if (mayRead(identity, event, access)) stream.send(event.type, event);
      }, end),
    }));
  });
  return routes;
}

function mayRead(identity: Identity, event: ControlEvent, access: Access): boolean {
  if ("runner" in event) return access.mayObserve(identity, event.runner);
  return identity.mayAdminister || (identity.owner !== undefined && event.owner === identity.owner);
}
