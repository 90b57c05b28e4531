/** `GET /api/v1/history` (admin): figures of the last hour, in columns for charts. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { requireAdmin } from "../../auth/access.ts";
import { SERIES } from "../../history/history.ts";
import type { SeriesName } from "../../history/history.ts";
import { HISTORY_STEP_MS } from "../../history/limits.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { responses } from "../schemas.ts";
import { refuseInvalid } from "../validation.ts";

const column = z.array(z.number().nullable());
const columns = Object.fromEntries(SERIES.map((name) => [name, column])) as Record<SeriesName, typeof column>;

const get = createRoute({
  method: "get",
  path: "/",
  tags: ["operations"],
  operationId: "getHistory",
  summary: "Figures of the last hour in steps, the oldest first (admin)",
  description:
    "`requests`, `errors` (codes other than `ok`, and 5xx), `bytesIn`, `bytesOut`, `connects`, `losses` and `tunnelBytes` are counts of a step; " +
    "`p50Ms` to `p99Ms` are durations of its HTTP requests, `loopDelayMs` the longest delay of the event loop in it, `cpu` the part of a core that the process " +
    "used; `streams`, `waitingDials`, `runners` (connected) and `rssBytes` are as at its end. Requests to the API are not counted.",
  request: {
    query: z.object({
      after: z.coerce
        .number()
        .min(0)
        .max(Number.MAX_SAFE_INTEGER)
        .optional()
        .openapi({ description: "Only steps that have ended later: Unix seconds" }),
    }),
  },
  responses: responses(
    200,
    "Columns of equal length",
    z.object({
      stepS: z.number().int(),
      time: z.array(z.number()).openapi({ description: "Ends of the steps, Unix seconds" }),
      series: z.object(columns),
    }),
  ),
});

export function historyRoutes({ history }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.openapi(get, (c) => {
    requireAdmin(c.get("identity"), "the history");
    const { time, series } = history.columns(c.req.valid("query").after);
    return c.json({ stepS: HISTORY_STEP_MS / 1_000, time, series }, 200);
  });
  return routes;
}
