/** `GET /api/v1/audit` (admin): what administrators have done since this process started. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { requireAdmin } from "../../auth/access.ts";
import { DEFAULT_AUDIT_ENTRIES, MAX_AUDIT_RESPONSE_ENTRIES } from "../../limits.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { responses } from "../schemas.ts";
import { refuseInvalid } from "../validation.ts";

const entrySchema = z
  .object({
    seq: z.number().int(),
    time: z.string(),
    credential: z.string(),
    owner: z.string().nullable(),
    client: z.string(),
    action: z.string().openapi({ example: "token-revoked" }),
    subject: z.string(),
    details: z.record(z.string(), z.string()),
  })
  .openapi("AuditEntry");

const number = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const list = createRoute({
  method: "get",
  path: "/",
  tags: ["operations"],
  operationId: "listAuditEntries",
  summary: "Acts of administrators, the latest first (admin)",
  request: {
    query: z.object({
      after: number.optional().openapi({ description: "Only later ones: `next` of a former response" }),
      before: number.optional().openapi({ description: "Only earlier ones" }),
      limit: z.coerce.number().int().min(1).max(MAX_AUDIT_RESPONSE_ENTRIES).default(DEFAULT_AUDIT_ENTRIES),
    }),
  },
  responses: responses(200, "Entries", z.object({ entries: z.array(entrySchema), next: z.number().int() })),
});

export function auditRoutes({ audit }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.openapi(list, (c) => {
    requireAdmin(c.get("identity"), "the audit trail");
    const { after = 0, before = Infinity, limit } = c.req.valid("query");
    const entries: z.output<typeof entrySchema>[] = [];
    for (const { number: seq, value } of audit) {
      if (seq <= after || entries.length === limit) break;
      if (seq >= before) continue;
      const { atMs, owner = null, details, ...entry } = value;
      entries.push({ seq, time: new Date(atMs).toISOString(), ...entry, owner, details: { ...details } });
    }
    return c.json({ entries, next: audit.latest }, 200);
  });
  return routes;
}
