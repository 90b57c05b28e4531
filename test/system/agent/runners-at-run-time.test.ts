import assert from "node:assert/strict";
import http from "node:http";
import { afterEach, describe, it } from "node:test";
import { createAgent } from "../../../src/agent/agent.ts";
import { parseTarget } from "../../../src/agent/targets/targets.ts";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { assertEchoes } from "../../support/agents.ts";
import { EventLog } from "../../support/event-log.ts";
import { next } from "../../support/events.ts";
import { call, errorCode, runnersUntil, targetUrl } from "../../support/http.ts";
import type { RunnerListing } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { promptly } from "../../support/stopwatch.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusingAddress, startHttpTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const isConnected =
  (id: string, connections = 1) =>
  (runners: RunnerListing[]): boolean =>
    runners.some(
      (runner) =>
        runner.id === id && runner.state === "connected" && runner.connections.length === connections,
    );

describe("runners that come and go while their agent is connected", () => {
  it("appear in the listing and can be dialled; removed ones disappear at once, without a grace", async () => {
    await using system = await startSystem({ agent: { connections: 2 } });
    const target = parseTarget(`screenshot=${system.target.address}`);
    await runnersUntil(system.url, isConnected(RUNNER, 2), "both connections");
    system.agent.addRunner({ id: "sandbox-1", targets: [target] });
    await runnersUntil(system.url, isConnected("sandbox-1", 2), "the new runner on both connections");
    await assertEchoes(system.controlPlane.dial, "sandbox-1", "screenshot");

    system.agent.removeRunner("sandbox-1");
    const gone = (runners: RunnerListing[]): boolean =>
      runners.some(({ id, state }) => id === "sandbox-1" && state === "gone");
    await runnersUntil(system.url, gone, "the removal");
    const response = await promptly(
      call(targetUrl(system.url, "sandbox-1", "screenshot")),
      "the refusal",
      1_000,
    );
    assert.deepEqual([response.status, errorCode(response)], [503, "runner_offline"]);
    await assertEchoes(system.controlPlane.dial);
  });

  it("are known also if they are announced in the very moment of the connect", async () => {
    await using system = await startSystem({ agents: 0 });
    const target = parseTarget(`screenshot=${system.target.address}`);
    await using agent = createAgent({
      server: system.url,
      token: { value: ADMIN_TOKEN },
      runners: { early: { echo: system.target.address }, leaver: { echo: system.target.address } },
      connections: 1,
    });
    await agent.connected(); // /hello was served, /events was not requested yet
    agent.addRunner({ id: "sandbox-1", targets: [target] });
    agent.removeRunner("leaver");
    await runnersUntil(system.url, isConnected("sandbox-1"), "the new runner");
    await runnersUntil(
      system.url,
      (runners) => runners.some(({ id, state }) => id === "leaver" && state === "gone"),
      "the removal",
    );
    await assertEchoes(system.controlPlane.dial, "sandbox-1", "screenshot");
  });

  it("are still known after a reconnect", async () => {
    const registry = new EventLog<RegistryEvent>();
    await using system = await startSystem({ faulty: true, controlPlane: { onEvent: registry.push } });
    const target = parseTarget(`screenshot=${system.target.address}`);
    system.agent.addRunner({ id: "sandbox-1", targets: [target] });
    await runnersUntil(system.url, isConnected("sandbox-1"), "the new runner");
    system.path?.cut();
    await registry.find(({ type }) => type === "lost", "the loss");
    await assertEchoes(system.controlPlane.dial, "sandbox-1", "screenshot");
  });

  it("may change their targets", async () => {
    await using system = await startSystem();
    await using other = await startTarget((socket) => void socket.end("other"));
    system.agent.addRunner({
      id: RUNNER,
      targets: [parseTarget(`${TARGET}=${system.target.address}`), parseTarget(`more=${other.address}`)],
    });
    await runnersUntil(system.url, ([runner]) => runner?.targets.length === 2, "the new target");
    const socket = await system.controlPlane.dial(RUNNER, "more");
    for await (const chunk of socket) assert.equal(String(chunk), "other");
  });

  it("are refused by the agent where they are not valid", async () => {
    await using system = await startSystem();
    const invalid = (error: unknown): boolean =>
      error instanceof TurnaboutError && error.code === "config_invalid";
    assert.throws(() => system.agent.addRunner({ id: "UPPER", targets: [] }), invalid);
    const twice = parseTarget("a=host:1");
    assert.throws(() => system.agent.addRunner({ id: "twice", targets: [twice, twice] }), invalid);
  });
});

describe("a target's health in the listing", () => {
  const healthOf = (runners: RunnerListing[]): boolean | undefined => runners[0]?.targets[0]?.healthy;

  it("is the result of the last connect, and recovers with the target", async () => {
    const address = await refusingAddress();
    await using system = await startSystem({ agents: 0 });
    await system.addAgent({ [RUNNER]: { web: address } });
    const first = await runnersUntil(system.url, (runners) => healthOf(runners) === true, "no complaint yet");
    assert.equal(first[0]?.state, "connected");
    const response = await call(targetUrl(system.url, RUNNER, "web"));
    assert.deepEqual([response.status, errorCode(response)], [502, "target_refused"]);
    await runnersUntil(system.url, (runners) => healthOf(runners) === false, "the target is down");

    const server = http.createServer((_request, response) => void response.end("up"));
    server.listen(Number(address.split(":").at(-1)), "127.0.0.1");
    await next(server, "listening");
    assert.equal((await call(targetUrl(system.url, RUNNER, "web"))).body, "up");
    await runnersUntil(system.url, (runners) => healthOf(runners) === true, "the target is up");
    server.closeAllConnections();
    server.close();
  });

  it("starts anew when the runner is given other targets", async () => {
    await using system = await startSystem({ agents: 0 });
    await system.addAgent({ [RUNNER]: { web: await refusingAddress() } });
    await call(targetUrl(system.url, RUNNER, "web"));
    await runnersUntil(system.url, (runners) => healthOf(runners) === false, "the target is down");
    await using target = await startHttpTarget((_request, response) => void response.end("up"));
    system.agent.addRunner({ id: RUNNER, targets: [parseTarget(`web=${target.address}`)] });
    await runnersUntil(system.url, (runners) => healthOf(runners) === true, "no complaint about the new one");
    assert.equal((await call(targetUrl(system.url, RUNNER, "web"))).body, "up");
  });

  it("is reported again to a control plane that has restarted", async () => {
    const port = Number((await refusingAddress()).split(":").at(-1));
    const options = { port, host: "127.0.0.1", adminToken: ADMIN_TOKEN, drainMs: 500 };
    const before = await createControlPlane(options);
    const url = `http://127.0.0.1:${port}`;
    await using agent = createAgent({
      server: url,
      token: { value: ADMIN_TOKEN },
      runners: { [RUNNER]: { web: await refusingAddress() } },
      backoffBaseMs: 20,
      backoffCapMs: 200,
    });
    await agent.connected();
    assert.equal((await call(targetUrl(url, RUNNER, "web"), { headers: { prefer: "wait=5" } })).status, 502);
    await runnersUntil(url, (runners) => healthOf(runners) === false, "the target is down");
    await before.close();
    await using after = await createControlPlane(options);
    await runnersUntil(url, (runners) => healthOf(runners) === false, "the target is still down");
    assert.equal(after.runners()[0]?.state, "connected");
  });
});
