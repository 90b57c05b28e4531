/** `/api/v1/sessions`: create on the least loaded instance, list, show, stop. Users have access to their own only. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { refuseInvalid, responses } from "../../control/extension-api.ts";
import type { AppEnv } from "../../control/extension-api.ts";
import { credentialHolder, MAX_NAME_LENGTH, preferredWaitMs, requireAdmin } from "../../control/extension.ts";
import type {
  ExtensionHost,
  ExtensionRunners,
  ExtensionStore,
  ExtensionTokens,
} from "../../control/extension.ts";
import { sandboxRunner } from "../ids.ts";
import type { ImageRules } from "../sessions/images.ts";
import type { Policy } from "../sessions/policy.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Session, SessionStore } from "../store/sessions.ts";

const newSessionSchema = z
  .strictObject({
    name: z.string().min(1).max(MAX_NAME_LENGTH).default("session"),
    owner: z
      .string()
      .min(1)
      .max(MAX_NAME_LENGTH)
      .optional()
      .openapi({ description: "The user who owns it (admin)" }),
    width: z.number().int().min(64).max(16_384).default(1_920),
    height: z.number().int().min(64).max(16_384).default(1_080),
    refresh_rate: z.number().int().min(1).max(480).default(60),
    image: z
      .string()
      .min(1)
      .max(1_000)
      .optional()
      .openapi({ description: "Container image reference; a user may name one that the operator allows" }),
    gpu_vendor: z.string().min(1).max(50).optional().openapi({ example: "nvidia" }),
    privileged: z.boolean().optional(),
  })
  .openapi("NewSession");

const sessionSchema = z
  .object({
    id: z.string().openapi({ example: "ses_0mh2k3l4m5a1b2c3d4e5f60718" }),
    owner: z.string(),
    name: z.string(),
    state: z.enum(["creating", "running", "lost", "stopping"]),
    reason: z.string().nullable(),
    wolf_instance_id: z.string(),
    wolf_lobby_id: z.string().nullable(),
    runner: z.string().openapi({ example: "sandbox-ses_0mh2k3l4m5a1b2c3d4e5f60718" }),
    runner_state: z.enum(["never-seen", "connected", "reconnecting", "gone"]),
    created_at: z.string(),
    updated_at: z.string(),
    links: z.record(z.string(), z.string()),
  })
  .openapi("Session");

const idParameter = z.object({ id: z.string().max(128) });

const create = createRoute({
  method: "post",
  path: "/",
  tags: ["sessions"],
  operationId: "createSession",
  summary: "Create a session on the least loaded Wolf instance",
  description:
    "Waits for an instance that is expected back. With `Prefer: wait=N` it waits up to N seconds for any instance with room.",
  request: { body: { required: true, content: { "application/json": { schema: newSessionSchema } } } },
  responses: responses(201, "Created", sessionSchema),
});
const list = createRoute({
  method: "get",
  path: "/",
  tags: ["sessions"],
  operationId: "listSessions",
  summary: "The caller's sessions; for an admin all",
  responses: responses(200, "Sessions", z.object({ sessions: z.array(sessionSchema) })),
});
const get = createRoute({
  method: "get",
  path: "/{id}",
  tags: ["sessions"],
  operationId: "getSession",
  summary: "One session",
  request: { params: idParameter },
  responses: responses(200, "The session", sessionSchema),
});
const remove = createRoute({
  method: "delete",
  path: "/{id}",
  tags: ["sessions"],
  operationId: "deleteSession",
  summary: "Stop the session's lobby and free its capacity",
  request: { params: idParameter },
  responses: {
    ...responses(204, "Stopped"),
    202: { description: "Its lobby will be stopped when its instance is back" },
  },
});

export interface SessionRoutesContext {
  sessions: Sessions;
  sessionStore: SessionStore;
  store: Pick<ExtensionStore, "settled">;
  audit: ExtensionHost["audit"];
  policy: Policy;
  runners: Pick<ExtensionRunners, "kick" | "state">;
  tokens: Pick<ExtensionTokens, "isValid">;
  images: ImageRules;
  maxSessionsPerUser: number | undefined;
  basePath: string;
}

export function sessionRoutes({
  audit,
  sessions,
  sessionStore,
  store,
  policy,
  runners,
  tokens,
  images,
  maxSessionsPerUser,
  basePath,
}: SessionRoutesContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  const show = (session: Session) => describe(session, runners, basePath);

  routes.openapi(create, async (c) => {
    const identity = c.get("identity");
    const body = c.req.valid("json");
    if (!tokens.isValid(identity)) {
      throw new TurnaboutError(
        "unauthenticated",
        "create session: the credential was revoked while the body was read",
      );
    }
    const owner = body.owner ?? identity.owner ?? (identity.mayAdminister ? identity.id : undefined);
    if (owner === undefined)
      throw new TurnaboutError("not_allowed", "create session: a runner token cannot own sessions");
    if (owner !== identity.owner) requireAdmin(identity, "a session for another user");
    images.check(identity, body.image);
    const spec = {
      width: body.width,
      height: body.height,
      refreshRate: body.refresh_rate,
      image: body.image,
      gpuVendor: body.gpu_vendor,
      privileged: body.privileged,
    };
    const session = await sessions.create(owner, body.name, spec, {
      waitMs: preferredWaitMs(c.env.incoming.headers),
      signal: c.req.raw.signal,
      holder: credentialHolder(identity),
      maxOwned: identity.mayAdminister ? undefined : maxSessionsPerUser,
      mayCreate: () => tokens.isValid(identity),
    });
    await store.settled(`create session ${session.id}`).catch(async (error: unknown) => {
      await sessions.remove(session); // its owner does not learn of it
      throw error;
    });
    return c.json(show(session), 201);
  });

  routes.openapi(list, (c) => {
    const identity = c.get("identity");
    const owned = sessionStore.list().filter((session) => policy.owns(identity, session));
    return c.json({ sessions: owned.map(show) }, 200);
  });

  routes.openapi(get, (c) => c.json(show(policy.session(c.get("identity"), c.req.valid("param").id)), 200));

  routes.openapi(remove, async (c) => {
    const session = policy.session(c.get("identity"), c.req.valid("param").id);
    if (c.get("identity").mayAdminister) {
      audit.add(c.get("actor"), {
        action: "session-stopped",
        subject: session.id,
        details: { owner: session.owner, name: session.name },
      });
    }
    const hasEnded = await sessions.remove(session);
    await store.settled(`delete session ${session.id}`);
    return c.body(null, hasEnded ? 204 : 202);
  });

  return routes;
}

function describe(
  session: Session,
  runners: SessionRoutesContext["runners"],
  basePath: string,
): z.output<typeof sessionSchema> {
  const runner = sandboxRunner(session.id);
  const agent = `${basePath}/api/v1/external-agents/${session.id}`;
  return {
    id: session.id,
    owner: session.owner,
    name: session.name,
    state: session.state,
    reason: session.reason ?? null,
    wolf_instance_id: session.instanceId,
    wolf_lobby_id: session.lobbyId ?? null,
    runner,
    runner_state: runners.state(runner),
    created_at: new Date(session.createdAtMs).toISOString(),
    updated_at: new Date(session.updatedAtMs).toISOString(),
    links: {
      self: `${basePath}/api/v1/sessions/${session.id}`,
      screenshot: `${agent}/screenshot`,
      clipboard: `${agent}/clipboard`,
      upload: `${agent}/upload`,
      exec: `${agent}/exec`,
      input: `${agent}/ws/input`,
      stream: `${basePath}/api/v1/stream/${session.id}`,
      moonlight: `${basePath}/moonlight/s/${session.id}/`,
    },
  };
}
