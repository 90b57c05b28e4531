/** `GET /api/v1/events`: connects, losses and sessions as server-sent events. Users hear of their own sessions only. */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Identity } from "../auth/identity.ts";
import type { Policy } from "../auth/policy.ts";
import type { ControlEvent } from "../event-bus.ts";
import { sessionOfRunner } from "../sessions/ids.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { AppContext, AppEnv } from "./app.ts";

/** A comment now and then keeps proxies from closing a quiet stream. */
const KEEPALIVE_MS = 15_000;
/** Events that wait for a slow reader; then its stream is ended, and it asks for the state anew. */
const MAX_WAITING_EVENTS = 1_000;
/** Readers at once. */
const MAX_READERS = 1_000;

export function eventRoutes({ bus, policy, sessionStore, work }: AppContext): Hono<AppEnv> {
  const routes = new Hono<AppEnv>();
  let readers = 0;
  routes.get("/", (c) => {
    const identity = c.get("identity");
    if (readers >= MAX_READERS) return c.text("too many readers", 503);
    readers += 1;
    return streamSSE(c, async (stream) => {
      const waiting: ControlEvent[] = [];
      let wake = (): void => {};
      let over = false;
      const end = (): void => {
        over = true;
        wake();
      };
      const unsubscribe = bus.subscribe((event) => {
        if (!mayHear(identity, event, policy, sessionStore)) return;
        waiting.push(event);
        if (waiting.length > MAX_WAITING_EVENTS) end();
        wake();
      });
      const done = work.add({ identity, close: end });
      stream.onAbort(end);
      try {
        await stream.write(": connected\n\n");
        while (!over) {
          const event = waiting.shift();
          if (event !== undefined) await stream.writeSSE({ event: event.type, data: JSON.stringify(event) });
          else if (await quiet((resolve) => (wake = resolve))) await stream.write(": keepalive\n\n");
        }
      } finally {
        readers -= 1;
        unsubscribe();
        done();
      }
    });
  });
  return routes;
}

/** True if nothing happened for the keepalive's time. */
function quiet(onWake: (resolve: () => void) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), KEEPALIVE_MS);
  timer.unref();
  onWake(() => {
    clearTimeout(timer);
    resolve(false);
  });
  return promise;
}

function mayHear(identity: Identity, event: ControlEvent, policy: Policy, sessions: SessionStore): boolean {
  if (identity.mayAdminister) return true;
  if ("owner" in event) return identity.owner !== undefined && event.owner === identity.owner;
  const id = "runner" in event ? sessionOfRunner(event.runner) : undefined;
  const session = id === undefined ? undefined : sessions.get(id);
  return session !== undefined && policy.owns(identity, session);
}
