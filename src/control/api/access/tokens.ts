/** `/api/v1/tokens` (admin): issue, list, revoke. A secret is shown once, in the response that issues it. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../../wire/errors.ts";
import type { TokenRecord } from "../../auth/tokens.ts";
import type { StoredToken } from "../../auth/issuer.ts";
import { requireAdmin } from "../../auth/access.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { refuseInvalid } from "../validation.ts";
import { MAX_NAME_LENGTH } from "../../limits.ts";
import { responses } from "../schemas.ts";
import { openedBy } from "./opened.ts";

const pattern = z
  .string()
  .regex(/^[a-z0-9_*-]{1,128}$/)
  .openapi({ example: "gpu-*" });

const newTokenSchema = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9._@-]{1,128}$/)
      .openapi({ description: "Name of the credential" }),
    kind: z.enum(["admin", "user", "runner"]),
    owner: z
      .string()
      .min(1)
      .max(MAX_NAME_LENGTH)
      .optional()
      .openapi({ description: "User; default: the id" }),
    runners: z.array(pattern).max(100).default([]),
    targets: z.array(pattern).max(100).optional(),
    expires_in_s: z.number().int().min(1).max(3_153_600_000).optional(),
  })
  .openapi("NewToken");

const tokenSchema = z.object({
  id: z.string(),
  kind: z.enum(["admin", "user", "runner"]),
  owner: z.string().nullable(),
  runners: z.array(z.string()),
  targets: z.array(z.string()).nullable(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  last_used_at: z
    .string()
    .nullable()
    .openapi({ description: "When it was last presented, since this process started" }),
});

/** @param groupNames names of the members for groups of runners */
function tokenSchemaWith(groupNames: readonly string[]) {
  const groups = Object.fromEntries(groupNames.map((name) => [name, z.string().nullable()]));
  return tokenSchema.extend(groups).openapi("Token");
}
type TokenView = ReturnType<typeof tokenSchemaWith>;

const issueRoute = (view: TokenView) =>
  createRoute({
    method: "post",
    path: "/",
    tags: ["tokens"],
    operationId: "issueToken",
    summary: "Issue a token; only this response has its secret",
    request: { body: { required: true, content: { "application/json": { schema: newTokenSchema } } } },
    responses: responses(201, "Issued", view.extend({ token: z.string() })),
  });
const listRoute = (view: TokenView) =>
  createRoute({
    method: "get",
    path: "/",
    tags: ["tokens"],
    operationId: "listTokens",
    summary: "Issued tokens, without their secrets",
    responses: responses(200, "Tokens", z.object({ tokens: z.array(view) })),
  });
const revoke = createRoute({
  method: "delete",
  path: "/{id}",
  tags: ["tokens"],
  operationId: "revokeToken",
  summary: "Revoke a token, also one of the token file, and close its streams and connections",
  request: { params: z.object({ id: z.string().max(128) }) },
  responses: responses(204, "Revoked"),
});
const openedSchema = z
  .object({
    streams: z.number().int().openapi({ description: "Requests, WebSockets, tunnels and event streams" }),
    sign_ins: z.number().int(),
    connections: z.number().int().openapi({ description: "Of agents" }),
    runners: z.array(z.string()).openapi({ description: "Some of those that these serve" }),
    runner_count: z.number().int(),
  })
  .openapi("Opened");
const opened = createRoute({
  method: "get",
  path: "/{id}/opened",
  tags: ["tokens"],
  operationId: "getOpenedByToken",
  summary: "What a token has open now: what its revocation would close",
  request: { params: z.object({ id: z.string().max(128) }) },
  responses: responses(200, "What is open", openedSchema),
});
/** @param owned names of what is deleted with the tokens */
function revokeOwnerRoute(owned: readonly string[]) {
  const further = owned.length === 0 ? "" : `, and delete the user's ${owned.join(" and ")}`;
  const count = z.number().int();
  const counts = Object.fromEntries(["tokens", ...owned].map((name) => [name, count]));
  return createRoute({
    method: "delete",
    path: "/",
    tags: ["tokens"],
    operationId: "revokeTokensOfOwner",
    summary: `Revoke all tokens of a user, also those of the token file${further}`,
    request: { query: z.object({ owner: z.string().min(1).max(MAX_NAME_LENGTH) }) },
    responses: responses(200, "Revoked", z.object(counts)),
  });
}

export function tokenRoutes(context: AppContext): OpenAPIHono<AppEnv> {
  const { access, audit, issuer, owned, store, tokens: known } = context;
  const { groupNames } = access;
  const view = tokenSchemaWith(groupNames);
  const show = (token: StoredToken): Record<string, unknown> => ({
    ...describe(token, known.lastUseOf(token)),
    ...Object.fromEntries(groupNames.map((name) => [name, token.group ?? null])),
  });
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.use(async (c, next) => {
    requireAdmin(c.get("identity"), "tokens");
    await next();
  });

  routes.openapi(issueRoute(view), async (c) => {
    const { expires_in_s: expiresInS, ...request } = c.req.valid("json");
    if (request.kind === "runner" && request.runners.length === 0) {
      throw new TurnaboutError(
        "bad_request",
        "issue token: a runner token needs at least one runner pattern",
        {
          details: ["runners: a runner token needs at least one pattern"],
        },
      );
    }
    const expiresAtMs = expiresInS === undefined ? undefined : Date.now() + expiresInS * 1_000;
    const { secret, record } = issuer.issue({ ...request, expiresAtMs });
    await store.settled(`issue token ${record.id}`).catch((error: unknown) => {
      issuer.revoke(record.id); // its secret reaches no one
      throw error;
    });
    const { id, kind } = record;
    const grant = { kind, runners: record.runners.join(" "), owner: record.owner ?? "" };
    audit.add(c.get("actor"), { action: "token-issued", subject: id, details: grant });
    return c.json({ ...show(record), token: secret }, 201);
  });

  routes.openapi(listRoute(view), (c) => c.json({ tokens: issuer.list().map(show) }, 200));

  routes.openapi(revoke, async (c) => {
    const { id } = c.req.valid("param");
    const wasIssued = issuer.revoke(id);
    const configured = issuer.revokeConfigured((token) => token.id === id);
    if (!wasIssued && configured === 0) throw new TurnaboutError("not_found", "revoke token: no such token");
    audit.add(c.get("actor"), { action: "token-revoked", subject: id });
    await store.settled(`revoke token ${id}`);
    return c.body(null, 204);
  });

  routes.openapi(opened, (c) => {
    const { id } = c.req.valid("param");
    if (!known.has(id)) throw new TurnaboutError("not_found", "opened by token: no such token");
    return c.json({ ...openedBy((identity) => identity.id === id, context) }, 200);
  });

  routes.openapi(revokeOwnerRoute(Object.keys(owned)), async (c) => {
    const { owner } = c.req.valid("query");
    const isOwners = (token: TokenRecord) => token.kind === "user" && (token.owner ?? token.id) === owner;
    const issued = issuer.list().filter(isOwners);
    for (const { id } of issued) issuer.revoke(id);
    const tokens = issued.length + issuer.revokeConfigured(isOwners);
    const deleted = Object.entries(owned).map(async ([name, remove]) => [name, await remove(owner)] as const);
    const counts = Object.fromEntries(await Promise.all(deleted));
    audit.add(c.get("actor"), {
      action: "user-tokens-revoked",
      subject: owner,
      details: { tokens: String(tokens) },
    });
    await store.settled(`revoke tokens of ${owner}`);
    return c.json({ tokens, ...counts }, 200);
  });

  return routes;
}

function describe(token: StoredToken, usedAtMs: number | undefined): z.output<typeof tokenSchema> {
  return {
    id: token.id,
    kind: token.kind,
    owner: token.kind === "user" ? (token.owner ?? token.id) : null,
    runners: token.runners,
    targets: token.targets ?? null,
    created_at: new Date(token.createdAtMs).toISOString(),
    expires_at: token.expiresAtMs === undefined ? null : new Date(token.expiresAtMs).toISOString(),
    last_used_at: usedAtMs === undefined ? null : new Date(usedAtMs).toISOString(),
  };
}
