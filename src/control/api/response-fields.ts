/** Fields of every response of the API that no route sets itself. */
import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";

type Middleware = MiddlewareHandler<{ Bindings: HttpBindings | Http2Bindings }>;

/** Removes the fields that Hono's streaming helpers set and HTTP/2 forbids: node would drop the response (RFC 9113 §8.2.2). */
export const removeConnectionFields: Middleware = createMiddleware(async (c, next) => {
  await next();
  if (c.env.incoming.httpVersionMajor < 2) return;
  c.res.headers.delete("transfer-encoding");
  c.res.headers.delete("connection");
});

/** A browser takes a response for what it says it is: values in it are of users and agents. */
export const forbidSniffing: Middleware = createMiddleware(async (c, next) => {
  await next();
  c.res.headers.set("x-content-type-options", "nosniff");
});
