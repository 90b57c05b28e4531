/** `GET /api/v1/events`: server-sent events. An admin reads all of them, a user those about what the user owns. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Access } from "../auth/access.ts";
import type { Identity } from "../auth/identity.ts";
import type { ControlEvent } from "../event-bus.ts";
import { MAX_EVENT_READERS } from "../limits.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { EventStream } from "./event-stream.ts";
import { REFUSED } from "./schemas.ts";

const read = createRoute({
  method: "get",
  path: "/",
  tags: ["events"],
  summary: "Events of runners and of what users own, as server-sent events; a user reads the user's own",
  responses: {
    200: { description: "Events", content: { "text/event-stream": { schema: { type: "string" } } } },
    ...REFUSED,
  },
});

export function eventRoutes({ access, activeStreams, bus, inFlight }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>();
  let readers = 0;
  routes.openapi(read, (c) => {
    const identity = c.get("identity");
    const { incoming, outgoing } = c.env;
    if (readers >= MAX_EVENT_READERS)
      throw new TurnaboutError("overloaded", `events: ${readers} readers are connected already`);
    const stream = new EventStream(outgoing);
    if (incoming.method === "HEAD") {
      outgoing.end();
      return RESPONSE_ALREADY_SENT;
    }
    readers += 1;
    inFlight.yields("stream" in outgoing ? outgoing.stream : outgoing);
    const end = (): void => stream.end();
    const unsubscribe = bus.subscribe((event) => {
      if (mayRead(identity, event, access)) stream.send(event.type, event);
    }, end);
    const release = activeStreams.add({ identity, isEndless: false, close: end });
    stream.start(() => {
      readers -= 1;
      unsubscribe();
      release();
    });
    return RESPONSE_ALREADY_SENT;
  });
  return routes;
}

function mayRead(identity: Identity, event: ControlEvent, access: Access): boolean {
  if ("runner" in event) return access.mayObserve(identity, event.runner);
  return identity.mayAdminister || (identity.owner !== undefined && event.owner === identity.owner);
}
