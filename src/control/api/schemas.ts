/** What the schemas of all routes share. They check what comes in, and /openapi.json is made of them. */
import { z } from "@hono/zod-openapi";
import { TOKEN_COOKIE, TOKEN_PARAMETER } from "../auth/authenticate.ts";

type SecurityScheme =
  | { type: "http"; scheme: string }
  | { type: "apiKey"; in: string; name: string; description?: string };

/** Where a credential may stand; the first one that is there decides. */
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
/** One of them is enough. */
export const SECURITY: Record<string, string[]>[] = [{ bearer: [] }, { apiKey: [] }, { cookie: [] }];

/** Names that people give: sessions, users. */
export const MAX_NAME_LENGTH = 200;

export const errorSchema: z.ZodType = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: "session_unknown" }),
      message: z.string(),
      requestId: z.string(),
      details: z.array(z.string()).optional(),
    }),
  })
  .openapi("Error");

type Answer = { description: string; content?: Record<string, { schema: z.ZodType }> };

/** What every route can answer. */
export const REFUSED: { default: Answer } = {
  default: { description: "Refused", content: { "application/json": { schema: errorSchema } } },
};

/** `200: {…}` of a route, with the error answer that every route can give. */
export function answers(
  status: number,
  description: string,
  schema?: z.ZodType,
): Record<number | string, Answer> {
  return {
    [status]: { description, ...(schema !== undefined && { content: { "application/json": { schema } } }) },
    ...REFUSED,
  };
}
