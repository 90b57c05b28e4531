/** `GET /health`: `OK`, or with `Accept: application/json` what works and what does not. */
import { Hono } from "hono";
import type { ClipboardPush } from "./clipboard/push.ts";
import type { Display } from "./desktop/display.ts";
import { methodNotAllowed } from "./errors.ts";
import type { Injector } from "./input/injector.ts";
import type { SharedFrames } from "./screenshot/shared-frames.ts";

export interface HealthSources {
  display: Display;
  frames: SharedFrames;
  push: ClipboardPush;
  injector: Injector;
}

export function healthRoutes({ display, frames, push, injector }: HealthSources): Hono {
  const app = new Hono();
  app.all("/health", async (c) => {
    if (c.req.method !== "GET" && c.req.method !== "HEAD") return methodNotAllowed("GET, HEAD");
    if (!(c.req.header("accept") ?? "").includes("application/json")) return c.text("OK");
    const sockets = await display.sockets().catch(() => []);
    return c.json({
      status: "ok",
      display: { sockets, used: display.preferred ?? null },
      screenshot: { captures: frames.captures },
      clipboard: { listeners: push.listeners, watching: push.watching },
      input: {
        pointer: injector.pointer.isConnected ? "virtual pointer" : "virtual pointer, not in use yet",
        keyboard: "wtype: keys are typed when they go down, never held; modifiers do not reach the pointer",
        touch: "the first finger is the left button",
        counts: injector.counts,
      },
    });
  });
  return app;
}
