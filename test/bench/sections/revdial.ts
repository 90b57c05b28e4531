/** RevDial clients on the bridge beside native agents, on TLS: dials and requests, at once and over a long path. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing, partPath } from "../../support/parts.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { ADMIN_TOKEN, API_PATH, RUNNER } from "../names.ts";
import { runInterleaved } from "../pairs.ts";
import type { Side } from "../pairs.ts";
import { comparePairs } from "../statistics.ts";
import { Worker } from "../worker.ts";
import type { AgentCalls } from "../workers/agent.ts";
import type { ControlPlaneCalls } from "../workers/control-plane.ts";
import type { LinkCalls } from "../workers/link.ts";
import type { LoadCalls } from "../workers/load.ts";
import type { TargetCalls } from "../workers/target.ts";
import type { SectionContext } from "./section.ts";

const PART = "turnabout-revdial-client";
/** A RevDial client has one target: as many clients as targets. */
const BRIDGED = { echo: `${RUNNER}-echo`, http: `${RUNNER}-http` };
/** The target of a runner whose name says nothing. */
const TARGET = "default";
const ROUND_TRIPS_MS: readonly number[] = [0, 50];
const LINK_BYTES_PER_S = 25_000_000;

export async function measureRevdial(context: SectionContext): Promise<void> {
  const absent = missing(PART);
  if (absent !== false) return context.note(`revdial: not measured: ${absent}`);
  for (const roundTripMs of ROUND_TRIPS_MS) {
    await using fleet = await startFleet(roundTripMs);
    for (const atOnce of [1, 32]) {
      const dials = (runner: string, target: string): Side => ({
        hops: [fleet.controlPlane],
        run: (durationMs) => fleet.controlPlane.call("dialFor", { runner, target, atOnce }, durationMs),
      });
      await addPairs(context, `${roundTripMs} ms, ${atOnce} at once, dials`, "dials/s", [
        dials(BRIDGED.echo, TARGET),
        dials(RUNNER, "echo"),
      ]);
    }
    await addPairs(context, `${roundTripMs} ms, 32 connections, requests`, "req/s", [
      await fleet.requests(`/api/v1/runners/${BRIDGED.http}/targets/${TARGET}/hello`),
      await fleet.requests(API_PATH),
    ]);
  }
  context.note(
    "revdial: value: a RevDial client in Go; baseline: our agent, two connections; the target keeps connections alive, and so does the bridge; CPU: the control plane's; the path delays bytes, so a bridged dial is spared TCP's round trip",
  );
}

/** @param sides the bridge, and the native agent */
async function addPairs(
  context: SectionContext,
  metric: string,
  unit: "dials/s" | "req/s",
  sides: readonly [Side, Side],
): Promise<void> {
  const [bridge, native] = await runInterleaved(context, sides);
  if (bridge === undefined || native === undefined) return;
  context.add({ metric, unit, ...comparePairs(bridge.perS, native.perS) });
  context.add({ metric: `${metric}, p50`, unit: "ms", ...comparePairs(bridge.p50Ms, native.p50Ms) });
  const cpu = comparePairs(bridge.cpuUs[0] ?? [], native.cpuUs[0] ?? []);
  context.add({ metric: `${metric}, CPU of each`, unit: "µs", ...cpu });
}

interface Fleet extends AsyncDisposable {
  controlPlane: Worker<ControlPlaneCalls>;
  /** Requests on kept-alive connections to a path of the control plane. */
  requests(path: string): Promise<Side>;
}

/** A control plane on TLS, a native agent and RevDial clients, which are as far from it. */
async function startFleet(roundTripMs: number): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const target = stack.use(await Worker.start<TargetCalls>("target"));
  const link = stack.use(await Worker.start<LinkCalls>("link"));
  const controlPlane = stack.use(await Worker.start<ControlPlaneCalls>("control-plane"));
  const agent = stack.use(await Worker.start<AgentCalls>("agent"));
  const load = stack.use(await Worker.start<LoadCalls>("load"));
  const pki = await createPki();
  const caFile = join(tmpdir(), `turnabout-bench-${process.pid}.pem`);
  writeFileSync(caFile, pki.ca);
  stack.defer(() => rmSync(caFile, { force: true }));

  const { echo, http } = await target.call("ports");
  const upstream = await controlPlane.call("listen", 0, await issueServer(pki));
  const options = { upstream, delayMs: roundTripMs / 2, bytesPerS: LINK_BYTES_PER_S };
  const port = roundTripMs === 0 ? upstream : await link.call("open", options);
  await agent.call("connect", port, { echo, http }, caFile);
  startBridged(stack, port, BRIDGED.echo, echo);
  startBridged(stack, port, BRIDGED.http, http);
  await controlPlane.call("untilConnected", 3);

  const started = stack.move();
  return {
    controlPlane,
    requests: async (path) => {
      const route = { port: upstream, secure: true, path, connections: 32, token: ADMIN_TOKEN };
      const handle = await load.call("openRequests", route);
      return { hops: [controlPlane], run: (durationMs) => load.call("run", handle, durationMs) };
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

function startBridged(stack: AsyncDisposableStack, port: number, runner: string, target: number): void {
  const to = ["-server", `https://127.0.0.1:${port}`, "-token", ADMIN_TOKEN];
  const args = [...to, "-runner-id", runner, "-local", `127.0.0.1:${target}`];
  const child = spawn(partPath(PART), args, { stdio: "ignore" });
  stack.defer(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
}
