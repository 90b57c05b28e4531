/** `/api/v1/runners`: who is connected; a round trip; the agent's own figures; a kick. */
import { Hono } from "hono";
import { TurnaboutError } from "../../wire/errors.ts";
import { AGENT_PATHS } from "../../wire/protocol.ts";
import { getAgent } from "../agent-request.ts";
import type { AgentConnection } from "../connection.ts";
import type { Identity } from "../auth/identity.ts";
import type { RunnerView } from "../registry.ts";
import type { AppContext, AppEnv } from "./app.ts";

/** A PING is answered within a round trip, or the agent is in trouble. */
const PING_TIMEOUT_MS = 5_000;

export function runnerRoutes({ registry, log }: AppContext): Hono<AppEnv> {
  const routes = new Hono<AppEnv>();

  routes.get("/", (c) => {
    const identity = c.get("identity");
    return c.json({
      runners: registry
        .list()
        .filter((view) => maySee(identity, view))
        .map(describe),
    });
  });

  function find(identity: Identity, id: string): RunnerView {
    const view = registry.view(id);
    // To whoever may not see it, a runner that exists looks like one that does not.
    if (view === undefined || !maySee(identity, view)) {
      throw new TurnaboutError("runner_unknown", `runner ${JSON.stringify(id)} is not known`);
    }
    return view;
  }

  routes.get("/:id", (c) => c.json(describe(find(c.get("identity"), c.req.param("id")))));

  routes.get("/:id/ping", async (c) => {
    const view = find(c.get("identity"), c.req.param("id"));
    const connection = registry.pick(view.id);
    if (connection === undefined)
      throw new TurnaboutError("runner_offline", `ping ${view.id}: not connected`);
    return c.json({ id: view.id, connection: connection.id, rttMs: round(await ping(connection)) });
  });

  routes.get("/:id/metrics", async (c) => {
    const view = find(c.get("identity"), c.req.param("id"));
    const connection = registry.pick(view.id);
    if (connection === undefined)
      throw new TurnaboutError("runner_offline", `metrics ${view.id}: not connected`);
    const text = await getAgent(connection.session, AGENT_PATHS.metrics);
    return c.body(new Uint8Array(text), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });

  routes.delete("/:id", (c) => {
    if (!c.get("identity").mayAdminister)
      throw new TurnaboutError("not_allowed", "a kick needs an admin token");
    const view = find(c.get("identity"), c.req.param("id"));
    if (view.connections.length === 0)
      throw new TurnaboutError("runner_offline", `kick ${view.id}: not connected`);
    for (const connection of view.connections)
      connection.drain("kicked", "an operator closed the connection");
    log.info({ runner: view.id, connections: view.connections.length }, "kicked");
    return c.body(null, 204);
  });

  return routes;
}

function maySee(identity: Identity, view: RunnerView): boolean {
  if (identity.mayAdminister) return true;
  return view.info?.targets.some(({ name }) => identity.mayDial(view.id, name)) === true;
}

function describe(view: RunnerView): object {
  const [first] = view.connections;
  return {
    id: view.id,
    state: view.state,
    since: view.since.toISOString(),
    carrier: first?.carrier.kind ?? null,
    version: first?.hello.version ?? null,
    rttMs: round(first?.liveness.rttMs),
    bootEpoch: view.bootEpochMs === undefined ? null : new Date(view.bootEpochMs).toISOString(),
    waitingDials: view.waitingDials,
    targets: (view.info?.targets ?? []).map(({ name, http }) => ({
      name,
      http,
      healthy: !view.unhealthy.has(name),
    })),
    connections: view.connections.map((connection) => ({
      id: connection.id,
      carrier: connection.carrier.kind,
      since: connection.since.toISOString(),
      rttMs: round(connection.liveness.rttMs),
      peer: connection.carrier.remoteAddress ?? null,
      streams: connection.openStreams,
      draining: !connection.usable,
    })),
  };
}

function round(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 100) / 100;
}

function ping(connection: AgentConnection): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const fail = () => reject(new TurnaboutError("tunnel_timeout", `ping ${connection.id}: no answer`));
  const timer = setTimeout(fail, PING_TIMEOUT_MS);
  connection.session.ping((error, durationMs) => {
    clearTimeout(timer);
    if (error === null) resolve(durationMs);
    else fail();
  });
  return promise;
}
