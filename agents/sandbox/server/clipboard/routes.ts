/** `GET /clipboard` and `POST /clipboard`, in Helix's shapes; an empty clipboard is an empty text. */
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { readBody } from "../http/body.ts";
import { methodNotAllowed } from "../errors.ts";
import { Semaphore } from "../semaphore.ts";
import { MAX_CLIPBOARD_BYTES, MAX_CLIPBOARD_REQUESTS, MAX_WAITING_CLIPBOARD_REQUESTS } from "../limits.ts";
import { EMPTY, formatClipboard, parseClipboard } from "./message.ts";
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
    if (c.req.method === "GET" || c.req.method === "HEAD") {
      const content = await reads.run(() => clipboard.read());
      const headers = { "content-type": "application/json" };
      return new Response(formatClipboard(content ?? EMPTY), { headers });
    }
    if (c.req.method !== "POST") return methodNotAllowed("GET, HEAD, POST");
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
