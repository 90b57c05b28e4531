/** `GET /clipboard` and `POST /clipboard`, in Helix's shapes. */
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { readBody } from "../body.ts";
import { methodNotAllowed } from "../errors.ts";
import { Semaphore } from "../semaphore.ts";
import { MAX_CLIPBOARD_BYTES, MAX_CLIPBOARD_REQUESTS, MAX_WAITING_CLIPBOARD_REQUESTS } from "../limits.ts";
import { formatClipboard, parseClipboard } from "./message.ts";
import type { Clipboard } from "./selection.ts";

export function clipboardRoutes(
  clipboard: Clipboard,
  onChange: () => void,
): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  const reads = new Semaphore("clipboard requests", MAX_CLIPBOARD_REQUESTS, MAX_WAITING_CLIPBOARD_REQUESTS);
  const bodies = new Semaphore("clipboard requests", MAX_CLIPBOARD_REQUESTS, MAX_WAITING_CLIPBOARD_REQUESTS);
  // Both selections belong together: two callers must not set one each.
  const writes = new Semaphore("clipboard requests", 1, MAX_CLIPBOARD_REQUESTS);
  app.all("/clipboard", async (c) => {
    if (c.req.method === "GET") {
      const content = await reads.run(() => clipboard.read());
      // Not JSON: Helix's server reports an empty clipboard in this way.
      if (content === undefined) return new Response("", { headers: { "content-type": "text/plain" } });
      return new Response(formatClipboard(content), { headers: { "content-type": "application/json" } });
    }
    if (c.req.method !== "POST") return methodNotAllowed("GET, POST");
    await bodies.run(async () => {
      const body = await readBody(c.env.incoming, MAX_CLIPBOARD_BYTES, "Clipboard data too large");
      const content = parseClipboard(body);
      await writes.run(() => clipboard.write(content));
    });
    onChange();
    return new Response(null, { status: 200 });
  });
  return app;
}
