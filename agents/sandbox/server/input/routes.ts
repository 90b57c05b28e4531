/** `POST /input`, `GET /keyboard-state`, `POST /keyboard-reset`. */
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { readBody } from "../http/body.ts";
import { Failure, methodNotAllowed } from "../errors.ts";
import { MAX_INPUT_BYTES } from "../limits.ts";
import type { Injector } from "./injector.ts";
import { parseInputEvents } from "./json.ts";

export function inputRoutes(injector: Injector): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();

  app.all("/input", async (c) => {
    if (c.req.method !== "POST") return methodNotAllowed("POST");
    const body = await readBody(c.env.incoming, MAX_INPUT_BYTES, "Too many input events");
    const events = parseInputEvents(body);
    const known = events.filter((event) => event !== undefined);
    const outcomes = await injector.submit(known);
    const processed = outcomes.filter((outcome) => outcome === "applied").length;
    if (processed === 0 && outcomes.includes("failed")) throw new Failure(503, "Input not available");
    const left = events.length - processed;
    const message = left === 0 ? {} : { message: `${left} of ${events.length} events not supported` };
    return c.json({ success: true, processed, ...message });
  });

  app.all("/keyboard-state", (c) => {
    if (c.req.method !== "GET" && c.req.method !== "HEAD") return methodNotAllowed("GET, HEAD");
    const { pressed, names, modifiers } = injector.keyboard.state;
    return c.json({
      timestamp: Date.now(),
      pressed_keys: pressed,
      key_names: names,
      modifier_state: {
        shift: modifiers.has("shift"),
        ctrl: modifiers.has("ctrl"),
        alt: modifiers.has("alt"),
        meta: modifiers.has("logo"),
      },
      device_name: "wtype virtual keyboard",
      device_path: "",
    });
  });

  app.all("/keyboard-reset", (c) => {
    if (c.req.method !== "POST") return methodNotAllowed("POST");
    const released = injector.keyboard.reset();
    return c.json({
      success: true,
      released_keys: released,
      message: `Released ${released.length} stuck keys`,
    });
  });

  return app;
}
