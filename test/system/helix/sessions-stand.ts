/** Wolf doubles, each behind an agent of its own, and the API of sessions and instances over real HTTP. */
import assert from "node:assert/strict";
import { createAgent } from "../../../src/agent/agent.ts";
import type { Agent } from "../../../src/agent/agent.ts";
import type { AgentOptions } from "../../../src/agent/config.ts";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import type { ControlEvent } from "../../../src/control/event-bus.ts";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import type { WolfDouble, WolfDoubleOptions } from "../../../src/demo/wolf/double.ts";
import { helix } from "../../../src/helix/helix.ts";
import type { HelixOptions } from "../../../src/helix/helix.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { Command } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { pause, within } from "../../support/events.ts";
import { api } from "../../support/api.ts";
import type { ApiResponse } from "../../support/api.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

export interface SessionView {
  id: string;
  owner: string;
  name: string;
  state: "creating" | "running" | "lost" | "stopping";
  reason: string | null;
  wolf_instance_id: string;
  wolf_lobby_id: string | null;
  runner: string;
  runner_state: string;
  links: Record<string, string>;
}

export interface InstanceView {
  id: string;
  status: "online" | "reconnecting" | "offline";
  connected_sandboxes: number;
  max_sandboxes: number;
  gpu_vendor: string | null;
  render_node: string | null;
  privileged_mode_enabled: boolean;
  desktop_versions: Record<string, string>;
  disk_alert_level: string;
  disk_usage: unknown[];
  disk_reported_at: string | null;
  gpus: { index: number; used_percent: number | null; alert_level: string }[];
  gpu_alert_level: string;
  gpus_reported_at: string | null;
  container_usage: unknown[];
  last_heartbeat: string | null;
}

export async function createSession(url: string, json: object = {}, token?: string): Promise<ApiResponse> {
  return api(url, "POST", "/api/v1/sessions", { json, ...(token !== undefined && { token }) });
}

export async function newSession(url: string, json: object = {}, token?: string): Promise<SessionView> {
  const response = await createSession(url, json, token);
  assert.equal(response.status, 201, JSON.stringify(response.body));
  return response.body as SessionView;
}

export async function listSessions(url: string, token?: string): Promise<SessionView[]> {
  const response = await api(url, "GET", "/api/v1/sessions", token === undefined ? {} : { token });
  assert.equal(response.status, 200);
  return (response.body as { sessions: SessionView[] }).sessions;
}

export async function listInstances(url: string): Promise<InstanceView[]> {
  const response = await api(url, "GET", "/api/v1/wolf-instances");
  assert.equal(response.status, 200);
  return (response.body as { wolf_instances: InstanceView[] }).wolf_instances;
}

export async function heartbeat(url: string, id: string, json: object, token?: string): Promise<ApiResponse> {
  const path = `/api/v1/wolf-instances/${id}/heartbeat`;
  return api(url, "POST", path, { json, ...(token !== undefined && { token }) });
}

/** Sessions until they are as wanted: over HTTP there is nothing to wait for but the next response. */
export async function sessionsUntil(
  url: string,
  check: (sessions: SessionView[]) => boolean,
  what: string,
  timeoutMs = 30_000,
): Promise<SessionView[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const sessions = await listSessions(url);
    if (check(sessions)) return sessions;
    if (performance.now() > deadline) throw new Error(`${what}: still ${JSON.stringify(sessions)}`);
    await pause();
  }
}

export async function instancesUntil(
  url: string,
  check: (instances: InstanceView[]) => boolean,
  what: string,
  timeoutMs = 30_000,
): Promise<InstanceView[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const instances = await listInstances(url);
    if (check(instances)) return instances;
    if (performance.now() > deadline) throw new Error(`${what}: still ${JSON.stringify(instances)}`);
    await pause();
  }
}

/** Every lobby has its session and every running session its lobby, on the instance that it names. */
export async function assertNoOrphans(
  url: string,
  wolves: ReadonlyMap<string, WolfDouble>,
): Promise<SessionView[]> {
  const sessions = await listSessions(url);
  const described = sessions.map(({ id, wolf_instance_id, wolf_lobby_id, state }) => {
    assert.equal(state, "running", `${id} is settled`);
    return `${wolf_instance_id} ${id} ${wolf_lobby_id}`;
  });
  const held = [...wolves].flatMap(([id, wolf]) =>
    wolf.state.lobbies.map((lobby) => `${id} ${lobby.name} ${lobby.id}`),
  );
  assert.deepEqual(described.toSorted(), held.toSorted());
  for (const { id, connected_sandboxes } of await listInstances(url)) {
    assert.equal(connected_sandboxes, wolves.get(id)?.state.lobbies.length ?? 0, `places of ${id}`);
  }
  return sessions;
}

export interface SessionStand extends AsyncDisposable {
  readonly system: System;
  readonly url: string;
  readonly wolves: ReadonlyMap<string, WolfDouble>;
  readonly events: EventLog<ControlEvent>;
  wolf(id: string): WolfDouble;
  /** A further agent for the Wolf of this id. */
  agent(id: string, options?: Partial<AgentOptions>): Promise<Agent>;
  event<Type extends ControlEvent["type"]>(
    type: Type,
    subject?: string,
    from?: number,
  ): Promise<Extract<ControlEvent, { type: Type }>>;
}

export interface SessionStandOptions {
  /** Instance ids. Default `a`. */
  instances?: readonly string[];
  controlPlane?: ControlPlaneOptions;
  helix?: HelixOptions;
  wolf?: Partial<WolfDoubleOptions>;
  /** Whether their agents are started. Default true. */
  agents?: boolean;
}

/** All in this process: control plane, agents, doubles. */
export async function startSessions(options: SessionStandOptions = {}): Promise<SessionStand> {
  const stack = new AsyncDisposableStack();
  const close = closedAtTheEnd(() => stack.disposeAsync());
  const events = new EventLog<ControlEvent>();
  const wolves = new Map<string, WolfDouble>();
  for (const id of options.instances ?? ["a"]) {
    wolves.set(id, stack.use(await createWolfDouble({ socketPath: tempPath(), ...options.wolf })));
  }
  const system = stack.use(
    await startSystem({
      agents: 0,
      controlPlane: {
        onEvent: events.push,
        extensions: [helix({ onEvent: events.push, ...options.helix })],
        ...options.controlPlane,
      },
    }),
  );
  const wolf = (id: string): WolfDouble => wolves.get(id) ?? assert.fail(`no Wolf ${id}`);
  const agent = (id: string, own?: Partial<AgentOptions>): Promise<Agent> =>
    system.addAgent({ [`wolf-${id}`]: { wolf: `unix:${wolf(id).socketPath}` } }, own);
  if (options.agents !== false) for (const id of wolves.keys()) await agent(id);
  return {
    system,
    url: system.url,
    wolves,
    events,
    wolf,
    agent,
    event: async (type, subject, from = 0) => {
      const isIt = (event: ControlEvent): boolean =>
        event.type === type &&
        (subject === undefined ||
          ("runner" in event && event.runner === subject) ||
          ("session" in event && event.session === subject));
      type Found = Extract<ControlEvent, { type: typeof type }>;
      return (await events.find(isIt, `${type} ${subject ?? ""}`, { from })) as Found;
    },
    [Symbol.asyncDispose]: close,
  };
}

/** `turnabout agent` as a process, for the Wolf double of this id. */
export function startWolfAgent(
  url: string,
  id: string,
  wolf: WolfDouble,
  token: string = ADMIN_TOKEN,
): Command {
  return new Command(
    "turnabout",
    [
      "agent",
      "--server",
      url,
      "--runner",
      `wolf-${id}`,
      "--target",
      `wolf=unix:${wolf.socketPath}`,
      "--backoff-cap",
      "0.3",
    ],
    { env: { TURNABOUT_TOKEN: token } },
  );
}

/** An agent in this process that is closed by its owner. */
export async function connectAgent(server: string, options: Partial<AgentOptions>): Promise<Agent> {
  const agent = createAgent({
    server,
    runners: {},
    token: { value: ADMIN_TOKEN },
    connections: 1,
    backoffBaseMs: 20,
    backoffCapMs: 200,
    drainMs: 500,
    ...options,
  });
  closedAtTheEnd(() => agent.close());
  await within(agent.connected(), "an agent's connection");
  return agent;
}
