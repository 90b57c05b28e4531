/** Parameters that choose lines of the access log. */
import { z } from "@hono/zod-openapi";
import { MAX_STATUS_FILTERS } from "../../limits.ts";

const pattern = z.string().min(1).max(128);

export const accessQuery: Record<
  "credential" | "runner" | "status" | "target",
  z.ZodOptional<z.ZodString>
> = {
  runner: pattern.optional().openapi({ description: "`*` matches any characters", example: "gpu-*" }),
  target: pattern.optional(),
  credential: pattern.optional(),
  status: z
    .string()
    .regex(/^[1-5](?:xx|\d\d)(?:,[1-5](?:xx|\d\d))*$/, "use statuses and classes: 404,5xx")
    .refine((text) => text.split(",").length <= MAX_STATUS_FILTERS, `at most ${MAX_STATUS_FILTERS}`)
    .optional()
    .openapi({ description: "Statuses and classes of them", example: "404,5xx" }),
};
