/** Control plane, agents and a target, on free ports: the whole of Turnabout in one process. */
import { writeFileSync } from "node:fs";
import { createAgent } from "../../src/agent/agent.ts";
import type { Agent } from "../../src/agent/agent.ts";
import type { AgentOptions } from "../../src/agent/config.ts";
import { createControlPlane } from "../../src/control/control-plane.ts";
import type { ControlPlane, ControlPlaneOptions } from "../../src/control/control-plane.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { within } from "./events.ts";
import { openFaultyPath } from "./faulty-path.ts";
import type { FaultyPath } from "./faulty-path.ts";
import { createPki, issueServer } from "./pki.ts";
import type { Pki } from "./pki.ts";
import { startEchoTarget } from "./target.ts";
import type { TestTarget } from "./target.ts";
import { tempPath } from "./temp.ts";

export const ADMIN_TOKEN = "test-admin-token";
/** Name of the runner and of its target, unless a test says otherwise. */
export const RUNNER = "runner-1";
export const TARGET = "echo";

export interface SystemOptions {
  /** TLS on the control plane's port, with a throw-away certificate. Default false. */
  tls?: boolean;
  /** Puts a {@link FaultyPath} between agents and control plane. Default false. */
  faulty?: boolean;
  /** What the runner's target is. Default an echo server on TCP; `startSystem` closes it either way. */
  target?: TestTarget;
  controlPlane?: ControlPlaneOptions;
  /** For every agent. Defaults: one connection, short backoff, `admin` token. */
  agent?: Partial<AgentOptions>;
  /** How many agents; the first serves `runner-1`, the next `runner-2`, … Default 1. */
  agents?: number;
}

export interface System extends AsyncDisposable {
  readonly controlPlane: ControlPlane;
  /** `http://127.0.0.1:PORT` or `https://localhost:PORT` of the control plane itself. */
  readonly url: string;
  /** What the agents dial: {@link url}, or the faulty path to it. */
  readonly agentUrl: string;
  readonly agents: readonly Agent[];
  readonly agent: Agent;
  readonly target: TestTarget;
  readonly path: FaultyPath | undefined;
  /** Set with `tls`: what signed the control plane's certificate. */
  readonly pki: Pki | undefined;
  /** PEM file of that authority. */
  readonly caFile: string | undefined;
  /** Starts a further agent, closed with the system. Resolves when it is connected. */
  addAgent(runners: AgentOptions["runners"], options?: Partial<AgentOptions>): Promise<Agent>;
  close(): Promise<void>;
}

/** On a free port of 127.0.0.1, with {@link ADMIN_TOKEN} and a short drain. */
export function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  return createControlPlane({
    port: 0,
    host: "127.0.0.1",
    adminToken: ADMIN_TOKEN,
    drainMs: 1_000,
    ...options,
  });
}

export function isConnected(controlPlane: ControlPlane, runner: string = RUNNER): boolean {
  return controlPlane.runners().some(({ id, state }) => id === runner && state === "connected");
}

/**
 * Resolves when every agent is connected.
 *
 * @example await using system = await startSystem({ tls: true, agent: { carrier: "rh2" } });
 */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const target = options.target ?? (await startEchoTarget());
  const pki = options.tls === true ? await createPki() : undefined;
  const caFile = pki === undefined ? undefined : tempPath(".pem");
  if (pki !== undefined && caFile !== undefined) writeFileSync(caFile, pki.ca);
  const controlPlane = await startControlPlane({
    ...(pki !== undefined && { tls: await issueServer(pki) }),
    ...options.controlPlane,
  });
  const agents: Agent[] = [];
  let path: FaultyPath | undefined;
  const close = closedAtTheEnd(async () => {
    path?.resume();
    await target.close();
    await Promise.all(agents.map((agent) => agent.close()));
    await controlPlane.close();
    await path?.close();
  });
  if (options.faulty === true) path = await openFaultyPath(controlPlane.port);
  const origin = (port: number) =>
    pki === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const agentUrl = origin(path?.port ?? controlPlane.port);

  async function addAgent(runners: AgentOptions["runners"], own: Partial<AgentOptions> = {}): Promise<Agent> {
    const agent = createAgent({
      server: agentUrl,
      runners,
      token: { value: ADMIN_TOKEN },
      connections: 1,
      backoffBaseMs: 20,
      backoffCapMs: 200,
      drainMs: 1_000,
      caFile,
      ...options.agent,
      ...own,
    });
    agents.push(agent);
    await within(agent.connected(), "an agent's first connection");
    return agent;
  }

  const count = options.agents ?? 1;
  for (let n = 1; n <= count; n += 1) await addAgent({ [`runner-${n}`]: { [TARGET]: target.address } });
  return {
    controlPlane,
    url: origin(controlPlane.port),
    agentUrl,
    agents,
    get agent() {
      const [first] = agents;
      if (first === undefined) throw new Error("this system has no agent");
      return first;
    },
    target,
    path,
    pki,
    caFile,
    addAgent,
    close,
    [Symbol.asyncDispose]: close,
  };
}
