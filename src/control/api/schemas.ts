/** Schemas that all resources share: for credentials and responses. */
import { z } from "@hono/zod-openapi";
import { TOKEN_COOKIE, TOKEN_PARAMETER } from "../auth/authenticate.ts";

type SecurityScheme =
  | { type: "http"; scheme: string }
  | { type: "apiKey"; in: string; name: string; description?: string };

/** Places of a credential, in the order in which they are looked at; the first one present decides. */
export const SECURITY_SCHEMES: Readonly<Record<string, SecurityScheme>> = {
  bearer: { type: "http", scheme: "bearer" },
  apiKey: { type: "apiKey", in: "header", name: "X-Api-Key" },
  cookie: {
    type: "apiKey",
    in: "cookie",
    name: TOKEN_COOKIE,
    description:
      "On WebSockets, and on all but GET, HEAD and OPTIONS, with an Origin that is ours or allowed",
  },
  parameter: { type: "apiKey", in: "query", name: TOKEN_PARAMETER, description: "WebSockets only" },
};
/** Any one of them is enough. */
export const SECURITY: Record<string, string[]>[] = [{ bearer: [] }, { apiKey: [] }, { cookie: [] }];

export const errorSchema: z.ZodType = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: "runner_unknown" }),
      message: z.string(),
      requestId: z.string(),
      details: z.array(z.string()).optional(),
    }),
  })
  .openapi("Error");

type ResponseObject = { description: string; content?: Record<string, { schema: z.ZodType }> };

/** Every route may refuse a request. */
export const REFUSED: { default: ResponseObject } = {
  default: { description: "Refused", content: { "application/json": { schema: errorSchema } } },
};

/** The response of a route that succeeds, as JSON where it has a schema, and the error that every route may return. */
export function responses(
  status: number,
  description: string,
  schema?: z.ZodType,
): Record<number | string, ResponseObject> {
  return {
    [status]: { description, ...(schema !== undefined && { content: { "application/json": { schema } } }) },
    ...REFUSED,
  };
}
