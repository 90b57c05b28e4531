/** What the schemas of all routes share. They check what comes in, and /openapi.json is made of them. */
import { z } from "@hono/zod-openapi";

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
