/** An agent with a Docker Engine: what it announces is what runs, whatever the engine does. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { AgentOptions } from "../../../src/agent/config.ts";
import { assertEchoes, keptLog } from "../../support/agents.ts";
import type { KeptLine } from "../../support/agents.ts";
import { DockerEngine } from "../../support/docker-engine.ts";
import type { DoubleContainer } from "../../support/docker-engine.ts";
import type { EventLog } from "../../support/event-log.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(async () => {
  delete process.env["DOCKER_HOST"];
  await assertNothingOpen();
});

interface Stand extends AsyncDisposable {
  system: System;
  engine: DockerEngine;
  lines: EventLog<KeptLine>;
  container(runner: string, rest?: Partial<DoubleContainer>): DoubleContainer;
}

async function start(
  prepare: (engine: DockerEngine) => unknown = () => {},
  options: Partial<AgentOptions> = {},
): Promise<Stand> {
  await using stack = new AsyncDisposableStack();
  const engine = stack.use(await new DockerEngine().listen());
  await prepare(engine);
  const { log, lines } = keptLog();
  const system = stack.use(
    await startSystem({ agent: { docker: engine.url, discoverHostNetwork: true, log, ...options } }),
  );
  const port = system.target.address.split(":")[1] ?? "";
  const moved = stack.move();
  return {
    system,
    engine,
    lines,
    container: (runner, rest = {}) => ({
      id: `c-${runner}`,
      labels: { "turnabout.runner": runner, [`turnabout.target.${TARGET}`]: port },
      ...rest,
    }),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function announced({ system }: Stand): string[] {
  return system.controlPlane
    .runners()
    .filter(({ id, state }) => id !== RUNNER && state === "connected")
    .map(({ id }) => id)
    .toSorted();
}

async function untilAnnounced(stand: Stand, ...ids: string[]): Promise<void> {
  await eventually(() => announced(stand).join() === ids.join(), `announced: ${ids.join()}`);
}

const warnings = ({ lines }: Stand): string[] =>
  lines.all
    .filter(({ level }) => level === "warn")
    .map(({ message, fields: { container = "", reason } }) => [message, container, reason].join(" "));

describe("a labelled container", () => {
  it("is announced while it runs, and reached; withdrawn at once when it does not", async () => {
    await using stand = await start();
    const { engine, system } = stand;
    await eventually(() => engine.readers === 1, "the subscription");
    engine.run(stand.container("sandbox-1"));
    await untilAnnounced(stand, "sandbox-1");
    await assertEchoes(system.controlPlane.dial, "sandbox-1");
    engine.remove("c-sandbox-1");
    await untilAnnounced(stand);
    await assert.rejects(system.controlPlane.dial("sandbox-1", TARGET), { code: "runner_offline" });
  });

  it("that ran before the agent did is announced, too", async () => {
    await using stand = await start();
    stand.engine.containers.set("c-early", stand.container("sandbox-early"));
    await using second = await startSystem({
      agent: { docker: stand.engine.url, discoverHostNetwork: true },
    });
    await assertEchoes(second.controlPlane.dial, "sandbox-early");
  });

  it("is withdrawn while it is paused", async () => {
    await using stand = await start();
    const container = stand.container("sandbox-1");
    stand.engine.run(container);
    await untilAnnounced(stand, "sandbox-1");
    stand.engine.run({ ...container, state: "paused" });
    await untilAnnounced(stand);
    stand.engine.run(container);
    await untilAnnounced(stand, "sandbox-1");
  });

  it("that restarts with another address is reached there without a gap", async () => {
    await using stand = await start();
    const { engine, system } = stand;
    const elsewhere = { "turnabout.runner": "sandbox-1", [`turnabout.target.${TARGET}`]: "1" };
    engine.run(stand.container("sandbox-1", { labels: elsewhere }));
    await untilAnnounced(stand, "sandbox-1");
    await assert.rejects(system.controlPlane.dial("sandbox-1", TARGET), { code: "target_refused" });
    engine.run(stand.container("sandbox-1"));
    await stand.lines.findNth(
      2,
      ({ message }) => message === "docker: container announced",
      "the new address",
    );
    await assertEchoes(system.controlPlane.dial, "sandbox-1");
  });

  it("cannot take a runner of the agent", async () => {
    await using stand = await start();
    stand.engine.run(
      stand.container(RUNNER, { labels: { "turnabout.runner": RUNNER, "turnabout.target.x": "1" } }),
    );
    await stand.lines.find(
      ({ fields }) => fields["reason"] === `runner ${RUNNER} is already configured at this agent`,
      "the warning",
    );
    await assertEchoes(stand.system.controlPlane.dial);
    const views = stand.system.controlPlane.runners();
    assert.deepEqual([views.length, views[0]?.info?.targets[0]?.name], [1, TARGET]);
  });

  it("is withdrawn for a runner that is added to the agent, and announced again after it", async () => {
    await using stand = await start();
    const { system, engine } = stand;
    engine.run(stand.container("sandbox-1"));
    await untilAnnounced(stand, "sandbox-1");
    const targets = [{ name: "own", address: system.target.parsed, http: "auto" as const }];
    const nameOf = (): string | undefined =>
      system.controlPlane.runners().find(({ id }) => id === "sandbox-1")?.info?.targets[0]?.name;
    system.agent.addRunner({ id: "sandbox-1", targets });
    await stand.lines.find(
      ({ fields }) => fields["reason"] === "runner sandbox-1 is already configured at this agent",
      "the warning",
    );
    await eventually(() => nameOf() === "own", "the agent's own targets");
    await assertEchoes(system.controlPlane.dial, "sandbox-1", "own");
    system.agent.removeRunner("sandbox-1");
    await eventually(() => nameOf() === TARGET && announced(stand).length === 1, "the container again");
  });

  it("with bad labels is warned of once, and no obstacle to the others", async () => {
    await using stand = await start();
    const { engine } = stand;
    engine.run(stand.container("NOT VALID", { id: "bad" }));
    engine.run(
      stand.container("sandbox-port", {
        id: "port",
        labels: { "turnabout.runner": "p", "turnabout.target.x": "0" },
      }),
    );
    engine.run(stand.container("sandbox-none", { networks: {}, networkMode: "none" }));
    engine.run(
      stand.container("sandbox-local", { networkMode: "bridge", networks: { bridge: "127.0.0.1" } }),
    );
    const large = { "turnabout.runner": "sandbox-large", pad: "x".repeat(600 * 1024) };
    engine.run(stand.container("sandbox-large", { name: "large", labels: large }));
    engine.run(stand.container("sandbox-1"));
    engine.run(stand.container("sandbox-1", { id: "second", created: 5 }));
    await untilAnnounced(stand, "sandbox-1");
    await stand.lines.find(({ fields }) => fields["container"] === "second", "the last warning");
    for (let n = 0; n < 5; n += 1) {
      const before = engine.requests.length;
      engine.emitEvent("start", 3);
      await engine.requests.find((path) => path === "/containers/json", "another look", { from: before });
    }
    assert.deepEqual(
      warnings(stand)
        .toSorted()
        .map((line) => line.replace(/(: use|: label).*/, "")),
      [
        'docker: container not announced bad runner id "NOT VALID"',
        "docker: container not announced c-sandbox-local its address \"127.0.0.1\" is not a container's: it is this host's",
        "docker: container not announced c-sandbox-none the container has no address (network mode none)",
        "docker: container not announced large the engine's description of it has more than 524288 bytes: shorten its labels",
        'docker: container not announced port label turnabout.target.x="0"',
        "docker: container not announced second runner sandbox-1 is already announced for container c-sandbox-1",
      ],
    );
    engine.remove("c-sandbox-1");
    await eventually(() => announced(stand).length === 1, "the second container's turn");
  });
});

describe("an engine", () => {
  it("may be absent at the start, and come and go", async () => {
    await using stand = await start(async (engine) => engine.stop());
    const { engine } = stand;
    await stand.lines.find(
      ({ message }) => message.startsWith("docker: the engine does not respond"),
      "the complaint",
    );
    engine.containers.set("c1", stand.container("sandbox-1"));
    await engine.listen();
    await untilAnnounced(stand, "sandbox-1");
    await eventually(() => engine.readers === 1, "the subscription");

    await engine.stop();
    await stand.lines.findNth(
      2,
      ({ message }) => message.startsWith("docker: the engine does not"),
      "the loss",
    );
    assert.deepEqual(announced(stand), ["sandbox-1"], "what ran may run still");
    engine.containers.set("c2", stand.container("sandbox-2"));
    engine.containers.delete("c1");
    await engine.listen();
    await untilAnnounced(stand, "sandbox-2");
    await eventually(() => engine.readers === 1, "the subscription again");
    engine.run(stand.container("sandbox-3"));
    await untilAnnounced(stand, "sandbox-2", "sandbox-3");
    const absences = warnings(stand).filter((message) => message.startsWith("docker: the engine does not"));
    assert.equal(absences.length, 2, "each absence is reported once");
  });

  it("may cut its event stream: what was missed is made up for", async () => {
    await using stand = await start();
    const { engine } = stand;
    for (let n = 1; n <= 3; n += 1) {
      await eventually(() => engine.readers === 1, "the subscription");
      engine.containers.set("c", stand.container(`sandbox-${n}`)); // and no event tells of it
      engine.cutEvents();
      await untilAnnounced(stand, `sandbox-${n}`);
    }
  });

  it("may lose events", async () => {
    await using stand = await start();
    await eventually(() => stand.engine.readers === 1, "the subscription");
    stand.engine.run(stand.container("sandbox-1"), 0);
    await untilAnnounced(stand, "sandbox-1");
    stand.engine.remove("c-sandbox-1", 0);
    await untilAnnounced(stand);
  });

  it("may double events, mix them up and fill them with garbage; a flood of them costs few looks", async () => {
    await using stand = await start();
    const { engine } = stand;
    await eventually(() => engine.readers === 1, "the subscription");
    const before = engine.requests.length;
    engine.emitEvent("destroy", 1_000);
    engine.sendRaw(`\u0000{{${"x".repeat(1024 * 1024)}\n\n]`);
    engine.run(stand.container("sandbox-1"), 1_000);
    engine.emitEvent("die", 1_000);
    await untilAnnounced(stand, "sandbox-1");
    assert.ok(engine.requests.length - before < 20, `looked ${engine.requests.length - before} times`);
  });

  for (const how of ["with 500", "with garbage", "cut short", "without end"] as const) {
    it(`may respond to a list request ${how}: announced containers stay, and the next response counts`, async () => {
      await using stand = await start();
      const { engine } = stand;
      engine.run(stand.container("sandbox-1"));
      await untilAnnounced(stand, "sandbox-1");
      engine.list = how;
      engine.remove("c-sandbox-1");
      await stand.lines.find(
        ({ message }) => message.startsWith("docker: the engine does not respond"),
        "the complaint",
      );
      assert.deepEqual(announced(stand), ["sandbox-1"]);
      engine.list = "well";
      await untilAnnounced(stand);
    });
  }

  it("may never respond to a list request: the request is repeated", async () => {
    await using stand = await start((engine) => (engine.list = "never"));
    const isTimeout = ({ fields }: KeptLine): boolean =>
      /list: no response within 5000 ms/.test(String(fields["reason"]));
    await stand.lines.find(isTimeout, "the deadline");
    stand.engine.list = "well";
    stand.engine.containers.set("c", stand.container("sandbox-1"));
    await untilAnnounced(stand, "sandbox-1");
  });

  for (const how of ["with 500", "cut short", "without end", "never"] as const) {
    it(`may respond to an event request ${how}: its containers are listed nevertheless`, async () => {
      await using stand = await start((engine) => (engine.events = how));
      stand.engine.run(stand.container("sandbox-1"));
      await untilAnnounced(stand, "sandbox-1");
      stand.engine.remove("c-sandbox-1");
      await untilAnnounced(stand);
      assert.ok(warnings(stand).length <= 1);
      if (how === "without end") return; // it is a stream, of whatever
      stand.engine.events = "well";
      await eventually(() => stand.engine.readers === 1, "the subscription");
    });
  }

  it("may redirect: it is not followed", async () => {
    let requests = 0;
    await using elsewhere = await startHttpTarget((_request, response) => {
      requests += 1;
      response.end("[]");
    });
    await using stand = await start((engine) => (engine.redirect = `http://${elsewhere.address}/`));
    const isRedirect = ({ fields }: KeptLine): boolean => /responded with 302/.test(String(fields["reason"]));
    await stand.lines.find(isRedirect, "the complaint");
    await eventually(() => stand.engine.requests.length > 4, "further requests");
    assert.equal(requests, 0);
  });

  it("may keep network modes to itself, as Podman does", async () => {
    await using stand = await start((engine) => (engine.isPodman = true));
    const { engine } = stand;
    engine.run(stand.container("sandbox-host", { networkMode: "host", networks: {} }));
    engine.run(stand.container("sandbox-none", { networkMode: "none", networks: {} }));
    engine.run(stand.container("sandbox-net"));
    await untilAnnounced(stand, "sandbox-host", "sandbox-net");
    await assertEchoes(stand.system.controlPlane.dial, "sandbox-host");
    const inspections = engine.requests.all.filter((path) => path === "/containers/c-sandbox-host/json");
    assert.equal(inspections.length, 1, "inspected once");
  });

  it("is the configured one, whatever DOCKER_HOST is", async () => {
    for (const host of ["tcp://127.0.0.1:1", "unix:///nowhere", "not a url at all:"]) {
      process.env["DOCKER_HOST"] = host;
      await using stand = await start();
      stand.engine.run(stand.container("sandbox-1"));
      await untilAnnounced(stand, "sandbox-1");
    }
  });
});

describe("a container in the host's network", () => {
  it("is announced by the operator's word only", async () => {
    await using stand = await start(undefined, { discoverHostNetwork: false });
    stand.engine.run(stand.container("sandbox-host"));
    const isAdvice = ({ fields }: KeptLine): boolean =>
      /--discover-host-network/.test(String(fields["reason"]));
    await stand.lines.find(isAdvice, "the reason");
    assert.deepEqual(announced(stand), []);
  });
});

describe("many containers", () => {
  it("are announced up to the limit, and those that are announced stay", async () => {
    await using stand = await start();
    const { engine } = stand;
    for (let n = 100; n < 400; n += 1)
      engine.containers.set(`c${n}`, stand.container(`sandbox-${n}`, { id: `c${n}`, created: n }));
    engine.emitEvent("start");
    await eventually(() => announced(stand).length === 255, "all that fit beside the agent's own");
    assert.deepEqual([announced(stand)[0], announced(stand).at(-1)], ["sandbox-100", "sandbox-354"]);
    engine.containers.set("first", stand.container("sandbox-first", { created: 1 }));
    engine.remove("c100");
    await eventually(() => announced(stand).includes("sandbox-first"), "a place becomes free");
    assert.equal(announced(stand).length, 255);
    assert.ok(announced(stand).includes("sandbox-354"));
  });
});
