/** `GET /api/v1/events`: connects, losses and sessions as server-sent events. Users hear of their own sessions only. */
import { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Access } from "../auth/access.ts";
import type { Identity } from "../auth/identity.ts";
import type { ControlEvent } from "../event-bus.ts";
import { writeHead } from "../listener/response-writer.ts";
import type { AnyResponse } from "../listener/messages.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { REFUSED } from "./schemas.ts";

/** A comment now and then keeps proxies from closing a quiet stream. */
const KEEPALIVE_MS = 15_000;
/** What may wait for a slow reader; then its stream is cut, and it asks for the state anew. */
const MAX_UNSENT_BYTES: number = 256 * 1024;
/** Readers at once. */
const MAX_READERS = 1_000;
/** A reader that does not read has this long to see that its stream has ended. */
const END_TIMEOUT_MS = 500;

const listen = createRoute({
  method: "get",
  path: "/",
  tags: ["events"],
  summary: "Connects, losses and sessions, as server-sent events; users hear of their own only",
  responses: {
    200: { description: "Events", content: { "text/event-stream": { schema: { type: "string" } } } },
    ...REFUSED,
  },
});

export function eventRoutes({ access, activeStreams, bus }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>();
  let readers = 0;
  // Written past Hono: its stream helper waits for a reader without bound, and with it whoever wants to end it.
  routes.openapi(listen, (c) => {
    const identity = c.get("identity");
    const { incoming, outgoing } = c.env;
    if (readers >= MAX_READERS) throw new TurnaboutError("overloaded", `events: ${readers} readers`);
    writeHead(outgoing, 200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    });
    if (incoming.method === "HEAD") {
      outgoing.end();
      return RESPONSE_ALREADY_SENT;
    }
    readers += 1;
    outgoing.on("error", () => {}); // for ever
    const say = (text: string): void => {
      write(outgoing, text);
      if (unsentBytes(outgoing) > MAX_UNSENT_BYTES) cut(outgoing);
    };
    const end = (): void => {
      outgoing.end();
      const timer = setTimeout(() => cut(outgoing), END_TIMEOUT_MS);
      outgoing.once("close", () => clearTimeout(timer));
    };
    const unsubscribe = bus.subscribe((event) => {
      if (!mayRead(identity, event, access)) return;
      say(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }, end);
    const done = activeStreams.add({ identity, close: end });
    const keepalive = setInterval(() => say(": keepalive\n\n"), KEEPALIVE_MS);
    keepalive.unref();
    outgoing.once("close", () => {
      readers -= 1;
      clearInterval(keepalive);
      unsubscribe();
      done();
    });
    say(": connected\n\n");
    return RESPONSE_ALREADY_SENT;
  });
  return routes;
}

function write(outgoing: AnyResponse, text: string): void {
  if (outgoing.writableEnded) return;
  if (outgoing instanceof ServerResponse) outgoing.write(text);
  else if (!outgoing.stream.destroyed) outgoing.write(text);
}

function unsentBytes(outgoing: AnyResponse): number {
  return outgoing instanceof ServerResponse ? outgoing.writableLength : outgoing.stream.writableLength;
}

function cut(outgoing: AnyResponse): void {
  if (outgoing instanceof ServerResponse) outgoing.destroy();
  else resetStream(outgoing.stream, new Error("the reader is too slow"));
}

function mayRead(identity: Identity, event: ControlEvent, access: Access): boolean {
  if ("runner" in event) return access.mayObserve(identity, event.runner);
  return identity.mayAdminister || (identity.owner !== undefined && event.owner === identity.owner);
}
