/** Input that does not match its schema becomes a `bad_request` that names each problem and its place. */
import type { z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_ERROR_DETAILS } from "./limits.ts";

/** For OpenAPIHono's `defaultHook`. @throws TurnaboutError `bad_request` */
export function refuseInvalid(result: { success: true } | { success: false; error: z.ZodError }): void {
  if (result.success) return;
  const details = result.error.issues
    .slice(0, MAX_ERROR_DETAILS)
    .map(({ path, message }) => `${path.length === 0 ? "body" : path.map(String).join(".")}: ${message}`);
  throw new TurnaboutError("bad_request", "validate request: the input does not match the schema", {
    details,
  });
}
