/**
 * `/api/v1/sign-in`: a token becomes a cookie that scripts cannot read, and that ends by itself; who the caller is, by whatever
 * credential; and the sign-out.
 */
import type { IncomingHttpHeaders } from "node:http";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { TurnaboutError } from "../../../wire/errors.ts";
import { parseBoundedJson } from "../../../wire/messages/bounded-json.ts";
import { VERSION } from "../../../wire/version.ts";
import { authenticateToken, requireOrigin, TOKEN_COOKIE } from "../../auth/authenticate.ts";
import type { Identity } from "../../auth/identity.ts";
import { MAX_SIGN_IN_BODY_BYTES } from "../../limits.ts";
import { noteRequester } from "../../records/request-record.ts";
import type { Client } from "../../trusted-proxies/trusted-proxies.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { responses } from "../schemas.ts";
import { refuseInvalid } from "../validation.ts";

export const SIGN_IN_PATH = "/api/v1/sign-in";

const signInSchema = z
  .object({
    id: z.string().openapi({ description: "Name of the credential" }),
    kind: z.enum(["admin", "user", "runner"]),
    owner: z.string().nullable(),
    admin: z.boolean(),
    runners: z.array(z.string()).openapi({ description: "Patterns of the runners that its grant covers" }),
    targets: z.array(z.string()).nullable(),
    expiresAt: z.string().nullable().openapi({ description: "Of the token" }),
    signIn: z
      .object({
        since: z.string(),
        expiresAt: z.string().openapi({ description: "If it is not used until then" }),
        endsAt: z.string().openapi({ description: "However often it is used" }),
      })
      .nullable(),
    version: z.string(),
  })
  .openapi("SignIn");

const begin = createRoute({
  method: "post",
  path: SIGN_IN_PATH,
  tags: ["sign-in"],
  operationId: "signIn",
  summary: "Sign a browser in with a token: the response sets a cookie that stands for it",
  security: [],
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ token: z.string().min(1).max(1_024) }) } },
    },
  },
  responses: responses(201, "Signed in", signInSchema),
});
const show = createRoute({
  method: "get",
  path: "/",
  tags: ["sign-in"],
  operationId: "getSignIn",
  summary: "Who the caller is, and until when",
  responses: responses(200, "The caller", signInSchema),
});
const end = createRoute({
  method: "delete",
  path: "/",
  tags: ["sign-in"],
  operationId: "signOut",
  summary: "Sign out: the cookie is removed, and what was opened with it is closed",
  responses: responses(204, "Signed out"),
});

/** Without a credential: mounted before callers are authenticated. */
export function signInRoute(context: AppContext): OpenAPIHono<AppEnv> {
  const { basePath, signIns, tokens, trustedProxies } = context;
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.post(SIGN_IN_PATH, admit(context));
  routes.openapi(begin, (c) => {
    const { incoming } = c.env;
    const client = trustedProxies.client(incoming);
    const tokenIdentity = authenticateToken(c.req.valid("json").token, tokens);
    if (tokenIdentity.kind === "runner")
      throw new TurnaboutError("not_allowed", "sign in: needs the token of an admin or a user");
    const { id, identity, endsAtMs } = signIns.begin(tokenIdentity);
    noteRequester(incoming, identity);
    const seconds = Math.max(1, Math.floor((endsAtMs - Date.now()) / 1_000));
    c.header(
      "set-cookie",
      cookieField(id, { path: pathOf(client, basePath), seconds, isSecure: isSecure(client, incoming) }),
    );
    c.header("cache-control", "no-store");
    return c.json(describe(identity, context), 201);
  });
  return routes;
}

export function signInRoutes(context: AppContext): OpenAPIHono<AppEnv> {
  const { basePath, signIns, trustedProxies } = context;
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.openapi(show, (c) => {
    c.header("cache-control", "no-store");
    return c.json(describe(c.get("identity"), context), 200);
  });
  routes.openapi(end, (c) => {
    signIns.end(c.get("identity"));
    const { incoming } = c.env;
    const client = trustedProxies.client(incoming);
    const path = pathOf(client, basePath);
    c.header("set-cookie", cookieField("", { path, seconds: 0, isSecure: isSecure(client, incoming) }));
    return c.body(null, 204);
  });
  return routes;
}

/** Before the body is read: no page of another origin signs a browser in, and nobody is known yet who could send much. */
function admit({ allowedOrigins, tokens, trustedProxies }: AppContext): MiddlewareHandler<AppEnv> {
  return createMiddleware<AppEnv>(async (c, next) => {
    const { incoming } = c.env;
    const { headers } = incoming;
    requireOrigin({ headers, client: trustedProxies.client(incoming) }, { allowedOrigins }, tokens);
    if (Number(headers["content-length"] ?? 0) > MAX_SIGN_IN_BODY_BYTES) {
      throw new TurnaboutError("payload_too_large", `sign in: more than ${MAX_SIGN_IN_BODY_BYTES} bytes`);
    }
    const request = c.req;
    request.json = async <T>() => parseBoundedJson(await request.text()) as T;
    await next();
  });
}

interface CookieOptions {
  path: string;
  seconds: number;
  isSecure: boolean;
}

/** Never for other hosts: without `Domain`. */
function cookieField(value: string, { path, seconds, isSecure }: CookieOptions): string {
  const secure = isSecure ? "; Secure" : "";
  return `${TOKEN_COOKIE}=${value}; Path=${path}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/** The browser has used https, be it to a proxy that is not configured as trusted, as its page's origin shows. */
function isSecure({ scheme }: Client, { headers }: { headers: IncomingHttpHeaders }): boolean {
  return scheme === "https" || headers.origin?.startsWith("https:") === true;
}

/** As the browser knows it: a proxy in front may have removed a prefix. */
function pathOf({ prefix }: Client, basePath: string): string {
  return `${prefix}${basePath}` || "/";
}

function describe(
  identity: Identity,
  { signIns, tokens }: Pick<AppContext, "signIns" | "tokens">,
): z.output<typeof signInSchema> {
  const { id, kind, owner, grant, mayAdminister } = identity;
  const expiresAtMs = tokens.expiryOf(identity);
  const times = signIns.timesOf(identity);
  return {
    id,
    kind,
    owner: owner ?? null,
    admin: mayAdminister,
    runners: [...grant.runners],
    targets: grant.targets === undefined ? null : [...grant.targets],
    expiresAt: expiresAtMs === undefined ? null : timeText(expiresAtMs),
    signIn:
      times === undefined
        ? null
        : {
            since: timeText(times.sinceMs),
            expiresAt: timeText(times.expiresAtMs),
            endsAt: timeText(times.endsAtMs),
          },
    version: VERSION,
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
