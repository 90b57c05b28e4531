/** Hono's streaming helpers set fields that HTTP/2 forbids; the response would be lost (RFC 9113 §8.2.2). */
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";

export const forHttp2: MiddlewareHandler<{ Bindings: HttpBindings | Http2Bindings }> = createMiddleware(
  async (c, next) => {
    await next();
    if (c.env.incoming.httpVersionMajor < 2) return;
    c.res.headers.delete("transfer-encoding");
    c.res.headers.delete("connection");
  },
);
