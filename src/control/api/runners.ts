/** `/api/v1/runners`: their state, a round trip, the agent's metrics, and a kick. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { TARGET_HTTP } from "../../wire/messages/hello.ts";
import { AGENT_PATHS } from "../../wire/protocol.ts";
import { getAgent } from "../admission/agent-client.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { TUNNEL_KINDS } from "../tunnels/tunnel.ts";
import { requireAdmin } from "../auth/access.ts";
import type { Access } from "../auth/access.ts";
import type { Identity } from "../auth/identity.ts";
import type { RunnerView } from "../registry/registry.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { pingAgent } from "./agent-ping.ts";
import { responses } from "./schemas.ts";
import { refuseInvalid } from "./validation.ts";

const connectionSchema = z.object({
  id: z.string(),
  carrier: z.enum(TUNNEL_KINDS),
  since: z.string(),
  rttMs: z.number().nullable(),
  peer: z.string().nullable(),
  version: z.string(),
  credential: z.string().nullable().openapi({ description: "Id (admin)" }),
  streams: z.number().int(),
  bytes: z.number().int().openapi({ description: "In both directions, so far" }),
  draining: z.boolean(),
});

const runnerSchema = z
  .object({
    id: z.string().openapi({ example: "gpu-1" }),
    state: z.enum(["connected", "reconnecting", "gone"]),
    since: z.string(),
    carrier: z.enum(TUNNEL_KINDS).nullable(),
    version: z.string().nullable(),
    credential: z
      .string()
      .nullable()
      .openapi({ description: "Id of the agent's credential, or of the last agent's (admin)" }),
    rttMs: z.number().nullable(),
    discovered: z.boolean().openapi({
      description:
        "Reached through the agent that discovered it, because the agent that has it configured is not connected",
    }),
    bootEpoch: z.string().nullable(),
    waitingDials: z.number().int(),
    targets: z.array(
      z.object({
        name: z.string(),
        http: z.enum(TARGET_HTTP),
        healthy: z.boolean(),
        mayDial: z.boolean().openapi({ description: "Whether the caller may reach it" }),
      }),
    ),
    connections: z.array(connectionSchema),
    behind: z.array(connectionSchema).openapi({
      description: "Connections that take over when those in use are lost",
    }),
  })
  .openapi("Runner");

const idParameter = z.object({ id: z.string() });

const list = createRoute({
  method: "get",
  path: "/",
  tags: ["runners"],
  operationId: "listRunners",
  summary: "The runners that the caller may dial; for an admin all",
  responses: responses(200, "Runners", z.object({ runners: z.array(runnerSchema) })),
});
const get = createRoute({
  method: "get",
  path: "/{id}",
  tags: ["runners"],
  operationId: "getRunner",
  summary: "One runner",
  request: { params: idParameter },
  responses: responses(200, "The runner", runnerSchema),
});
const pingRoute = createRoute({
  method: "get",
  path: "/{id}/ping",
  tags: ["runners"],
  operationId: "pingRunner",
  summary: "A round trip to the runner's agent",
  request: { params: idParameter },
  responses: responses(
    200,
    "The round trip",
    z.object({ id: z.string(), connection: z.string(), rttMs: z.number() }),
  ),
});
const metrics = createRoute({
  method: "get",
  path: "/{id}/metrics",
  tags: ["runners"],
  operationId: "getRunnerMetrics",
  summary: "The agent's metrics, in the text format of Prometheus",
  request: { params: idParameter },
  responses: {
    ...responses(200, "The metrics"),
    200: { description: "The metrics", content: { "text/plain": { schema: z.string() } } },
  },
});
const kick = createRoute({
  method: "delete",
  path: "/{id}",
  tags: ["runners"],
  operationId: "kickRunner",
  summary: "Close all connections of a runner (admin)",
  request: { params: idParameter },
  responses: responses(204, "The connections drain; the agent connects again"),
});

export function runnerRoutes({ registry, access, audit, log }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });

  routes.openapi(list, (c) => {
    const identity = c.get("identity");
    const visible = registry.list().filter((view) => maySeeRunner(identity, view, access));
    return c.json({ runners: visible.map((view) => describeRunner(view, identity, access)) }, 200);
  });

  function find(identity: Identity, id: string): RunnerView {
    const view = registry.view(id);
    // A caller who may not see a runner does not learn that it exists.
    if (view === undefined || !maySeeRunner(identity, view, access)) {
      throw new TurnaboutError("runner_unknown", `runner ${JSON.stringify(id)} is not known`);
    }
    return view;
  }

  function connectionOf(id: string, phase: string): AgentConnection {
    const connection = registry.bestConnection(id);
    if (connection === undefined) throw new TurnaboutError("runner_offline", `${phase} ${id}: not connected`);
    return connection;
  }

  routes.openapi(get, (c) => {
    const identity = c.get("identity");
    return c.json(describeRunner(find(identity, c.req.valid("param").id), identity, access), 200);
  });

  routes.openapi(pingRoute, async (c) => {
    const { id } = find(c.get("identity"), c.req.valid("param").id);
    const connection = connectionOf(id, "ping");
    const rttMs = roundMs(await pingAgent(connection)) ?? 0;
    return c.json({ id, connection: connection.id, rttMs }, 200);
  });

  routes.openapi(metrics, async (c) => {
    const { id } = find(c.get("identity"), c.req.valid("param").id);
    const { http2Session } = connectionOf(id, "metrics");
    const text = await getAgent(http2Session, AGENT_PATHS.metrics);
    return c.text(text.toString("utf8"), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });

  routes.openapi(kick, (c) => {
    requireAdmin(c.get("identity"), "a kick");
    const { id } = find(c.get("identity"), c.req.valid("param").id);
    const connections = registry.kick(id, { message: "an operator closed the connection" });
    if (connections === 0) throw new TurnaboutError("runner_offline", `kick ${id}: not connected`);
    log.info({ runner: id, connections }, "runner kicked");
    audit.add(c.get("actor"), {
      action: "runner-kicked",
      subject: id,
      details: { connections: String(connections) },
    });
    return c.body(null, 204);
  });

  return routes;
}

/** Whether the identity may dial one of its targets. */
export function maySeeRunner(
  identity: Identity,
  { id, info }: RunnerView,
  access: Pick<Access, "mayDial">,
): boolean {
  if (identity.mayAdminister) return true;
  return info?.targets.some(({ name }) => access.mayDial(identity, id, name)) === true;
}

function describeRunner(
  view: RunnerView,
  identity: Identity,
  access: Pick<Access, "mayDial">,
): z.output<typeof runnerSchema> {
  const [first] = view.connections;
  const describe = (connection: AgentConnection) => describeConnection(connection, identity.mayAdminister);
  return {
    id: view.id,
    state: view.state === "never-seen" ? "gone" : view.state, // such runners are not listed
    since: view.since.toISOString(),
    carrier: first?.tunnel.kind ?? null,
    version: first?.hello.version ?? null,
    credential: identity.mayAdminister ? (view.credential ?? null) : null,
    rttMs: roundMs(first?.tunnel.rttMs),
    discovered: view.discovered,
    bootEpoch: momentOf(view.bootEpochMs),
    waitingDials: view.waitingDials,
    targets: (view.info?.targets ?? []).map(({ name, http }) => ({
      name,
      http,
      healthy: !view.unhealthy.has(name),
      mayDial: access.mayDial(identity, view.id, name),
    })),
    connections: view.connections.map(describe),
    behind: view.fallbackConnections.map(describe),
  };
}

function describeConnection(
  connection: AgentConnection,
  isAdmin: boolean,
): z.output<typeof connectionSchema> {
  return {
    id: connection.id,
    carrier: connection.tunnel.kind,
    since: connection.since.toISOString(),
    rttMs: roundMs(connection.tunnel.rttMs),
    peer: connection.tunnel.remoteAddress ?? null,
    version: connection.hello.version,
    credential: isAdmin ? connection.identity.id : null,
    streams: connection.openStreams,
    bytes: connection.tunnel.transferredBytes,
    draining: !connection.usable,
  };
}

/** 0 is unknown. */
function momentOf(ms = 0): string | null {
  return ms === 0 ? null : new Date(ms).toISOString();
}

function roundMs(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 100) / 100;
}
