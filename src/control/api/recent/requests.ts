/** `GET /api/v1/requests`: the requests that have ended last. Who sees which is the rule of the live access log. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../../wire/errors.ts";
import type { Identity } from "../../auth/identity.ts";
import { DEFAULT_RECENT_REQUESTS, MAX_RECENT_RESPONSE_REQUESTS } from "../../limits.ts";
import { accessLine } from "../../records/access-line.ts";
import { WAYS } from "../../records/request-record.ts";
import type { RequestRecord } from "../../records/request-record.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { accessFilter } from "../live/access-filter.ts";
import { accessQuery } from "../live/access-query.ts";
import { responses } from "../schemas.ts";
import { refuseInvalid } from "../validation.ts";

const ms = z.number().optional();
const requestSchema = z
  .object({
    seq: z.number().int().openapi({ description: "Greater than that of what has ended before" }),
    time: z.string().openapi({ description: "Of its end" }),
    id: z.string(),
    way: z.enum(WAYS),
    method: z.string().optional(),
    path: z.string().optional().openapi({ description: "The values of its query are `*`" }),
    status: z.number().int().optional().openapi({ description: "Absent if the caller got no response" }),
    code: z.string().openapi({ description: "`ok`, or the code of the error" }),
    credential: z.string().optional(),
    owner: z.string().optional(),
    client: z.string().optional(),
    runner: z.string().optional(),
    target: z.string().optional(),
    connection: z.string().optional(),
    traceId: z.string().optional(),
    bytesIn: z.number().int(),
    bytesOut: z.number().int(),
    queueMs: ms.openapi({ description: "Until a connection of the runner was found" }),
    dialMs: ms.openapi({ description: "From then until the agent had reached the target" }),
    firstByteMs: ms.openapi({ description: "From the start to the header of the target's response" }),
    totalMs: ms,
    phase: z
      .enum(["runner", "connect", "response", "content"])
      .optional()
      .openapi({ description: "Where it failed: waiting for the runner, connecting to the target, …" }),
    reason: z.string().optional().openapi({ description: "Why it failed (admin)" }),
    errno: z.string().optional().openapi({ description: "The system's error at the agent (admin)" }),
  })
  .openapi("RecentRequest");

const number = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const query = z.object({
  ...accessQuery,
  code: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .openapi({ description: "Of its end", example: "target_refused" }),
  way: z
    .string()
    .regex(/^[a-z]+(?:-[a-z]+)*(?:,[a-z]+(?:-[a-z]+)*){0,7}$/)
    .optional()
    .openapi({ description: "One or several", example: "route,websocket" }),
  after: number.optional().openapi({ description: "Only later ones: `next` of a former response" }),
  before: number
    .optional()
    .openapi({ description: "Only earlier ones: the smallest `seq` of a former response" }),
  limit: z.coerce.number().int().min(1).max(MAX_RECENT_RESPONSE_REQUESTS).default(DEFAULT_RECENT_REQUESTS),
});

const list = createRoute({
  method: "get",
  path: "/",
  tags: ["operations"],
  operationId: "listRecentRequests",
  summary: "Requests that have ended last, the latest first; a user sees the user's own",
  request: { query },
  responses: responses(
    200,
    "Requests",
    z.object({ requests: z.array(requestSchema), next: z.number().int() }),
  ),
});
const get = createRoute({
  method: "get",
  path: "/{id}",
  tags: ["operations"],
  operationId: "getRecentRequest",
  summary: "One of them, by its `X-Request-Id`",
  request: { params: z.object({ id: z.string().min(1).max(128) }) },
  responses: responses(200, "The request", requestSchema),
});

export function recentRequestRoutes({ accessLog }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.use(async (c, next) => {
    if (c.get("identity").kind === "runner")
      throw new TurnaboutError("not_allowed", "recent requests: needs the token of an admin or a user");
    await next();
    c.header("cache-control", "no-store");
  });

  routes.openapi(list, (c) => {
    const identity = c.get("identity");
    const { after = 0, before = Infinity, limit, code, way, ...others } = c.req.valid("query");
    const matches = accessFilter(identity, others);
    const ways = way?.split(",");
    const found: string[] = [];
    for (const { number: seq, value: record } of accessLog.recent) {
      if (seq <= after || found.length === limit) break;
      if (seq >= before || !matches(record)) continue;
      if (code !== undefined && record.code !== code) continue;
      if (ways === undefined || ways.includes(record.way)) found.push(textOf(seq, record, identity));
    }
    return json(`{"requests":[${found.join(",")}],"next":${accessLog.recent.latest}}`);
  });

  routes.openapi(get, (c) => {
    const identity = c.get("identity");
    const { id } = c.req.valid("param");
    const matches = accessFilter(identity, {});
    for (const { number: seq, value: record } of accessLog.recent) {
      if (record.id === id && matches(record)) return json(textOf(seq, record, identity));
    }
    throw new TurnaboutError("not_found", `recent requests: ${JSON.stringify(id)} is not among them`);
  });

  return routes;
}

/** The line of the access log, with what a failure has besides. */
function textOf(seq: number, record: RequestRecord, { mayAdminister }: Identity): string {
  const line = accessLine(record, record.endedAtMs ?? 0);
  const { code, errno, phase, reason } = record;
  const failure = code === "ok" ? {} : { phase, ...(mayAdminister && { reason, errno }) };
  const more = JSON.stringify({ seq, ...failure });
  return `${line.slice(0, -"}\n".length)},${more.slice(1)}`;
}

function json(body: string): Response {
  return new Response(body, { headers: { "content-type": "application/json" } });
}
