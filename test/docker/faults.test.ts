/** What Docker itself does to the two levels: cut, paused, killed, moved. What goes on, what waits, what comes back. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDockerClient } from "../../src/clients/docker.ts";
import { createRemoteDial } from "../../src/index.ts";
import { listRunners, open } from "../support/http.ts";
import type { HttpResponse, RunnerListing } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { BUSYBOX, importBusybox } from "./busybox.ts";
import { churn, LAG_MS } from "./churn.ts";
import { engineCannot } from "./engine.ts";
import { Stack } from "./stack.ts";
import type { SessionView } from "./stack.ts";

const WOLF = "wolf-local";
const APPS = "/api/v1/wolf/apps?wolf_instance_id=local";
const WOLF_ADDRESS = "172.19.0.50";
/** A peer that says nothing, seen by the other. */
const NOTICED_MS = 30_000;
/** A peer whose end is seen: a FIN or a reset comes. */
const CLOSED_MS = 1_000;
/** From a network that works again to a connected agent: its longest pause between two attempts, and one of these. */
const BACK_MS = 40_000;
/** Lobbies and sessions are compared once a minute, too. */
const SWEEP_MS = 90_000;
const ELSEWHERE = fileURLToPath(new URL("compose.elsewhere.yaml", import.meta.url));

describe("two Docker levels with faults", { skip: engineCannot() }, () => {
  let stack: Stack;
  let session: SessionView;
  let sandbox: string;

  before(async () => {
    stack = await Stack.start();
    await startSession();
  });

  after(async () => {
    await stack[Symbol.asyncDispose]();
    await assertNothingOpen();
  });

  it("a cut of 5 s loses nothing: requests wait, and the same connections carry their responses", async () => {
    const before = await runner(WOLF);
    await disconnect();
    const waiting = stack.call(APPS, { timeoutMs: 60_000 });
    await delay(5_000);
    await connect();
    assert.equal((await waiting).status, 200);
    const now = await runner(WOLF);
    assert.deepEqual(idsOf(now), idsOf(before), "the connections are the same");
    assert.equal(now?.bootEpoch, before?.bootEpoch);
    await screenshot();
  });

  it("a cut of 40 s is noticed within 30, and waiting requests get their responses after it", async () => {
    const before = await runner(WOLF);
    await disconnect();
    const cutAt = performance.now();
    await lost(WOLF, NOTICED_MS);
    const waiting = stack.call(APPS, { headers: { prefer: "wait=60" }, timeoutMs: 120_000 });
    await delay(40_000 - (performance.now() - cutAt));
    await connect();
    assert.equal((await waiting).status, 200);
    await connected(WOLF, sandbox);
    const now = await runner(WOLF);
    assert.equal(now?.bootEpoch, before?.bootEpoch, "a reconnect is not a restart");
    assert.ok(idsOf(now).every((id) => !idsOf(before).includes(id)));
    await sessionRuns();
    await screenshot();
  });

  it("a cut of 90 s outlasts the grace: refused at once, the session lost, and adopted again afterwards", async () => {
    await disconnect();
    const cutAt = performance.now();
    await lost(WOLF, NOTICED_MS);
    await stack.runnersUntil((all) => stateOf(all, WOLF) === "gone", "the grace is over", 40_000);
    const requestedAt = performance.now();
    const refused = await stack.call(APPS);
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers["retry-after"]) > 0);
    assert.ok(performance.now() - requestedAt < 5_000, "a response without waiting");
    await sessionIs("lost");
    await delay(90_000 - (performance.now() - cutAt));
    await connect();
    await connected(WOLF, sandbox);
    await sessionRuns();
    await screenshot();
  });

  it("a paused Wolf is noticed within 30 s, and is back when it resumes", async () => {
    await pause("wolf");
    try {
      await lost(WOLF, NOTICED_MS);
    } finally {
      await unpause("wolf");
    }
    await connected(WOLF, sandbox);
    assert.equal((await stack.call(APPS)).status, 200);
    await sessionRuns();
  });

  it("a paused control plane is noticed within 30 s by the agents", async () => {
    await pause("control-plane");
    const since = new Date().toISOString(); // not what the fault before has left
    try {
      // Two connections, and each of them is watched by itself.
      await stack.until(
        "the agent has lost both connections",
        async () => (await logOf("wolf", since)).split("the connection was lost").length > 2,
        NOTICED_MS,
      );
    } finally {
      await unpause("control-plane");
    }
    await connected(WOLF, sandbox);
    await screenshot();
  });

  it("a killed Wolf is refused at once while the tunnel stays, and is started again", async () => {
    const before = await runner(WOLF);
    await killInside("wolf.main");
    const refused = await stack
      .untilValue(
        "a refusal",
        async (): Promise<HttpResponse | undefined> => {
          const response = await stack.call(APPS);
          return response.status === 200 ? undefined : response;
        },
        10_000,
      )
      .catch(() => undefined);
    if (refused !== undefined) assert.equal(refused.status, 502, refused.body);
    await stack.until("Wolf responds again", async () => (await stack.call(APPS)).status === 200, 60_000);
    assert.deepEqual(idsOf(await runner(WOLF)), idsOf(before), "the tunnel did not notice");
    // It has come back without its lobbies: what does not run is not shown as running.
    await stack.until("the session is not running", async () => !(await isRunning()), SWEEP_MS);
    await startSession();
  });

  it("sandboxes outlive a kill of the inner Docker Engine, and are announced as they run afterwards", async () => {
    const quiet = "sandbox-found";
    await runLabelled(quiet);
    await connected(quiet);
    await killInside("dockerd --host");
    await screenshot();
    await stack.until(
      "the inner engine is back",
      async () => (await stack.inWolf("docker", "version")).code === 0,
      60_000,
    );
    await removeInner(quiet);
    await stack.runnersUntil((all) => stateOf(all, quiet) !== "connected", `${quiet} withdrawn`, 5_000);
    await screenshot();
  });

  it("20 sandboxes that come and go for two minutes: what is exactly those that run are announced, within 2 s", async (t) => {
    const archive = join(stack.engine.folder, "images", "busybox.tar");
    await stack.engine.command("docker", ["save", "-o", archive, await importBusybox(stack.engine)]);
    assert.equal((await stack.inWolf("docker", "load", "-i", "/images/busybox.tar")).code, 0);
    const dial = createRemoteDial({ server: stack.url, token: stack.adminToken });
    const prefix = "sandbox-churn-";
    const announced = async (): Promise<string[]> => {
      const all = await listRunners(stack.url, { token: stack.adminToken });
      return all
        .filter(({ id, state }) => id.startsWith(prefix) && state === "connected")
        .map(({ id }) => id);
    };
    const report = await churn({
      docker: createDockerClient(dial, WOLF),
      image: BUSYBOX,
      command: ["busybox", "sleep", "1000"],
      count: 20,
      durationMs: 120_000,
      announced,
      prefix,
    });
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.wrong, []);
    assert.ok(report.starts >= 100 && report.stops >= 100 && report.looks >= 60, JSON.stringify(report));
    await stack.until("none is announced", async () => (await announced()).length === 0, LAG_MS);
    await screenshot();
  });

  it("a killed sandbox is lost at once, and refused after the grace", async () => {
    const doomed = await stack.createSession();
    const id = `sandbox-${doomed.id}`;
    await connected(id);
    const [container] = (await stack.sandboxes()).filter((name) => name.startsWith(id));
    assert.ok(container !== undefined);
    await stack.inWolf("docker", "kill", "-s", "KILL", container);
    await lost(id, 5_000 + CLOSED_MS);
    await stack.deleteSession(doomed.id);
    await stack.until(
      "its container is removed",
      async () => !(await stack.sandboxes()).some((name) => name.startsWith(id)),
    );
    assert.equal((await stack.call(`/api/v1/external-agents/${doomed.id}/screenshot`)).status, 404);
  });

  it("a control plane that comes back with another address is found by its name", async () => {
    const before = await addressOf("control-plane");
    await stack.withFiles(ELSEWHERE).compose("up", "-d", "--no-build", "--no-deps", "control-plane");
    assert.notEqual(await addressOf("control-plane"), before);
    await connected(WOLF);
    assert.equal((await stack.call(APPS)).status, 200);
    await sessionRuns();
  });

  it("a killed container of Wolf is lost at once; started again it is another boot", async () => {
    const before = await runner(WOLF);
    await stack.engine.command("docker", ["kill", "-s", "KILL", stack.container("wolf")]);
    await lost(WOLF, 5_000 + CLOSED_MS);
    await stack.engine.command("docker", ["start", stack.container("wolf")]);
    await connected(WOLF);
    assert.notEqual((await runner(WOLF))?.bootEpoch, before?.bootEpoch, "a restart is not a reconnect");
    await stack.until("Wolf responds", async () => (await stack.call(APPS)).status === 200);
    // Its lobbies died with it: the session is not shown as running any more.
    await stack.until("the session is not running", async () => !(await isRunning()), SWEEP_MS);
  });

  const connected = (...ids: string[]): Promise<void> => stack.whenConnected(...ids);

  async function startSession(): Promise<void> {
    session = await stack.createSession();
    sandbox = `sandbox-${session.id}`;
    await connected(sandbox);
    await screenshot();
  }

  async function isRunning(): Promise<boolean> {
    const { status, body } = await stack.call(`/api/v1/sessions/${session.id}`);
    return status === 200 && (JSON.parse(body) as { state: string }).state === "running";
  }

  async function runner(id: string): Promise<RunnerListing | undefined> {
    const all = await stack.runnersUntil(() => true, "the runners");
    return all.find((it) => it.id === id);
  }

  async function lost(id: string, timeoutMs: number): Promise<void> {
    await stack.runnersUntil((all) => stateOf(all, id) !== "connected", `${id} is lost`, timeoutMs);
  }

  async function screenshot(): Promise<void> {
    await stack.until(
      "a screenshot",
      async () => {
        const response = await open(`${stack.url}/api/v1/external-agents/${session.id}/screenshot`, {
          token: stack.adminToken,
          timeoutMs: 60_000,
        });
        response.resume();
        return response.statusCode === 200;
      },
      BACK_MS,
    );
  }

  async function sessionIs(state: string): Promise<void> {
    await stack.until(`the session is ${state}`, async () => {
      const { body } = await stack.call(`/api/v1/sessions/${session.id}`);
      return (JSON.parse(body) as { state: string }).state === state;
    });
  }

  const sessionRuns = (): Promise<void> => sessionIs("running");

  const disconnect = (): Promise<string> =>
    stack.engine.command("docker", ["network", "disconnect", "turnabout_outer", stack.container("wolf")]);

  const connect = (): Promise<string> =>
    stack.engine.command(
      "docker",
      ["network", "connect", "--ip", WOLF_ADDRESS, "turnabout_outer"].concat(stack.container("wolf")),
    );

  const pause = (service: "wolf" | "control-plane"): Promise<string> =>
    stack.engine.command("docker", ["pause", stack.container(service)]);

  const unpause = (service: "wolf" | "control-plane"): Promise<string> =>
    stack.engine.command("docker", ["unpause", stack.container(service)]);

  async function logOf(service: "wolf" | "control-plane", since: string): Promise<string> {
    const line = ["logs", "--since", since, stack.container(service)];
    const { stdout, stderr } = await stack.engine.run("docker", line);
    return stdout + stderr;
  }

  async function addressOf(service: "wolf" | "control-plane"): Promise<string | undefined> {
    const { NetworkSettings } = await stack.engine.docker.getContainer(stack.container(service)).inspect();
    return NetworkSettings.Networks["turnabout_outer"]?.IPAddress;
  }

  /** SIGKILL to whatever has this in its command line, in Wolf's container. */
  async function killInside(pattern: string): Promise<void> {
    const script =
      'for d in /proc/[0-9]*; do c=$(tr "\\0" " " <$d/cmdline); ' +
      'case $c in *"$PATTERN"*) kill -9 "${d#/proc/}" && echo killed;; esac; done 2>/dev/null';
    const line = ["exec", "-e", `PATTERN=${pattern}`, stack.container("wolf"), "sh", "-c", script];
    const { stdout } = await stack.engine.run("docker", line);
    assert.match(stdout, /killed/, `${pattern} was not running`);
  }

  /** A sandbox that nothing but its labels announces. */
  async function runLabelled(id: string): Promise<void> {
    const labels = ["--label", `turnabout.runner=${id}`, "--label", "turnabout.target.screenshot=9876"];
    const line = ["docker", "run", "-d", "--name", id, ...labels, "-e", "TURNABOUT_AGENT=off"];
    const { code, stderr } = await stack.inWolf(...line, "turnabout-sandbox");
    assert.equal(code, 0, stderr);
  }

  async function removeInner(id: string): Promise<void> {
    const { code, stderr } = await stack.inWolf("docker", "rm", "-f", id);
    assert.equal(code, 0, stderr);
  }
});

function stateOf(all: readonly RunnerListing[], id: string): string | undefined {
  return all.find((it) => it.id === id)?.state;
}

function idsOf(listing: RunnerListing | undefined): string[] {
  return (listing?.connections ?? []).map(({ id }) => id).toSorted();
}
