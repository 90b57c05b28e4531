/**
 * The processes of a measurement, each on its own, all on loopback:
 *
 *     load ─▶ control plane ─▶ agent ─▶ target        the tunnel
 *     load ─▶ relay A ───────▶ relay B ▶ target       the baseline
 */
import type { Route } from "./load/route.ts";
import { Worker } from "./worker.ts";
import type { AgentCalls } from "./workers/agent.ts";
import type { ControlPlaneCalls } from "./workers/control-plane.ts";
import type { LoadCalls } from "./workers/load.ts";
import type { RelayCalls } from "./workers/relay.ts";
import type { TargetCalls, TargetPorts } from "./workers/target.ts";

export interface Rig extends AsyncDisposable {
  load: Worker<LoadCalls>;
  controlPlane: Worker<ControlPlaneCalls>;
  agent: Worker<AgentCalls>;
  relayA: Worker<RelayCalls>;
  relayB: Worker<RelayCalls>;
  target: Worker<TargetCalls>;
  /** Where the control plane listens. */
  port: number;
  /** Relay A's ports: two hops before each of the target's. */
  relayed: TargetPorts;
  /** Relay B's ports: one hop. */
  relayedOnce: TargetPorts;
  tunnel(target: keyof TargetPorts): Route;
  relay(target: keyof TargetPorts): Route;
}

/** Puts something between two hops, in the tunnel and in the baseline alike: takes a port, returns one in front of it. */
export type Between = (port: number) => Promise<number>;

export async function startRig(between: Between = async (port) => port): Promise<Rig> {
  await using stack = new AsyncDisposableStack();
  const target = stack.use(await Worker.start<TargetCalls>("target"));
  // A process of its own, so that what is measured beside bulk is the tunnel, and not the target.
  const httpTarget = stack.use(await Worker.start<TargetCalls>("target"));
  const relayB = stack.use(await Worker.start<RelayCalls>("relay"));
  const relayA = stack.use(await Worker.start<RelayCalls>("relay"));
  const controlPlane = stack.use(await Worker.start<ControlPlaneCalls>("control-plane"));
  const agent = stack.use(await Worker.start<AgentCalls>("agent"));
  const load = stack.use(await Worker.start<LoadCalls>("load"));

  const { http } = await httpTarget.call("ports");
  const targets = { ...(await target.call("ports")), http };
  const relayedOnce = await mapPorts(targets, (port) => relayB.call("forward", port));
  const relayed = await mapPorts(relayedOnce, async (port) => relayA.call("forward", await between(port)));
  const port = await controlPlane.call("listen", 0);
  await agent.call("connect", await between(port), { ...targets });

  const started = stack.move();
  return {
    load,
    controlPlane,
    agent,
    relayA,
    relayB,
    target,
    port,
    relayed,
    relayedOnce,
    tunnel: (name) => ({ port, connectTo: name }),
    relay: (name) => ({ port: relayed[name] }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

async function mapPorts(ports: TargetPorts, map: (port: number) => Promise<number>): Promise<TargetPorts> {
  return {
    http: await map(ports.http),
    echo: await map(ports.echo),
    source: await map(ports.source),
    sink: await map(ports.sink),
    endless: await map(ports.endless),
    interim: await map(ports.interim),
    deaf: await map(ports.deaf),
    chunks: await map(ports.chunks),
  };
}
