/** Parameters that choose lines of the access log. */
import { z } from "@hono/zod-openapi";
import { MAX_STATUS_FILTERS } from "./limits.ts";
import { isStatusList, STATUS_LIST } from "./access-filter.ts";

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
    .regex(STATUS_LIST, "use statuses and classes: 404,5xx")
    .refine(isStatusList, `at most ${MAX_STATUS_FILTERS}`)
    .optional()
    .openapi({ description: "Statuses and classes of them", example: "404,5xx" }),
};
