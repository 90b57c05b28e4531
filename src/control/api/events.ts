/** `GET /api/v1/events`: server-sent events. An admin reads all of them, a user those about what the user owns. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Access } from "../auth/access.ts";
import type { Identity } from "../auth/identity.ts";
import type { ControlEvent } from "../event-bus.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { EventStream } from "./event-stream.ts";
import { credentialHolder } from "../shares/holders.ts";
import { REFUSED } from "./schemas.ts";

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

export function eventRoutes({
  access,
  activeStreams,
  bus,
  inFlight,
  shares,
}: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>();
  routes.openapi(read, (c) => {
    const identity = c.get("identity");
    const { incoming, outgoing } = c.env;
    const holder = credentialHolder(identity);
    const release = shares.eventReaders.take(holder);
    const stops = [release];
    const stop = (): void => {
      for (const each of stops.splice(0)) each();
    };
    try {
      const end = (): void => stream.end();
      stops.push(activeStreams.add({ identity, isEndless: () => false, close: end }));
      const stream = new EventStream(outgoing);
      if (incoming.method === "HEAD") {
        outgoing.end();
        stop();
        return RESPONSE_ALREADY_SENT;
      }
      inFlight.yields("stream" in outgoing ? outgoing.stream : outgoing);
      stops.push(
        bus.subscribe((event) => {
          if (mayRead(identity, event, access)) stream.send(event.type, event);
        }, end),
        shares.unread.add(stream.delivery(holder)),
      );
      stream.start(stop);
    } catch (error) {
      stop();
      throw error;
    }
    return RESPONSE_ALREADY_SENT;
  });
  return routes;
}

function mayRead(identity: Identity, event: ControlEvent, access: Access): boolean {
  if ("runner" in event) return access.mayObserve(identity, event.runner);
  return identity.mayAdminister || (identity.owner !== undefined && event.owner === identity.owner);
}
