/** Removes the fields that Hono's streaming helpers set and HTTP/2 forbids: node would drop the response (RFC 9113 §8.2.2). */
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";

export const removeConnectionFields: MiddlewareHandler<{ Bindings: HttpBindings | Http2Bindings }> =
  createMiddleware(async (c, next) => {
    await next();
    if (c.env.incoming.httpVersionMajor < 2) return;
    c.res.headers.delete("transfer-encoding");
    c.res.headers.delete("connection");
  });
