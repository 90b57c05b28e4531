/** Bounds the bodies of API requests: their size, their rate and how deeply their JSON is nested. Requests to targets bypass it. */
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { TurnaboutError } from "../../wire/errors.ts";
import { parseBoundedJson } from "../../wire/messages/bounded-json.ts";
import { MAX_API_BODY_BYTES } from "./limits.ts";
import { hasBody } from "../listener/messages.ts";
import { credentialHolder } from "../shares/holders.ts";
import type { AppContext, AppEnv } from "./context.ts";

const METHODS_WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** By `Content-Length`: Hono reads a body whole, and its own limiter needs Hono's Request class as the global one. */
export const limitBody: MiddlewareHandler<AppEnv> = createMiddleware(async (c, next) => {
  const { incoming } = c.env;
  const length = incoming.headers["content-length"];
  // No route reads the body of another method; on HTTP/2 such a request may seem to have one until its end arrives.
  if (METHODS_WITH_BODY.has(c.req.method) && hasBody(incoming) && length === undefined) {
    throw new TurnaboutError("length_required", "API: a body without Content-Length");
  }
  if (Number(length ?? 0) > MAX_API_BODY_BYTES) {
    throw new TurnaboutError("payload_too_large", `API: a body of more than ${MAX_API_BODY_BYTES} bytes`);
  }
  await next();
});

/** Of authenticated requests, before their bodies are read. */
export function boundJson({ shares }: Pick<AppContext, "shares">): MiddlewareHandler<AppEnv> {
  return createMiddleware<AppEnv>(async (c, next) => {
    if (METHODS_WITH_BODY.has(c.req.method)) {
      const length = Number(c.env.incoming.headers["content-length"] ?? 0);
      shares.largeBodies.admit(credentialHolder(c.get("identity")), length);
      const request = c.req;
      // What validates a body calls this, and takes its exception for malformed JSON.
      request.json = async <T>() => parseBoundedJson(await request.text()) as T;
    }
    await next();
  });
}
