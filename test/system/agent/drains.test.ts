import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import { startAgent } from "../../support/commands.ts";
import { ending, eventually, next, turn, within } from "../../support/events.ts";
import { EventLog } from "../../support/event-log.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";

afterEach(() => assertNothingOpen());

async function start(graceMs: number): Promise<System & { registry: EventLog<RegistryEvent> }> {
  const registry = new EventLog<RegistryEvent>();
  const system = await startSystem({ agents: 0, controlPlane: { graceMs, onEvent: registry.push } });
  return Object.assign(system, { registry });
}

describe("an agent process that gets SIGTERM", () => {
  it("finishes what it has in flight and exits with 0, while new dials wait for its successor", async () => {
    await using system = await start(30_000);
    const echo = `${TARGET}=${system.target.address}`;
    await using agent = startAgent(system.url, RUNNER, echo);
    await system.registry.findNth(2, ({ type }) => type === "connected", "both connections");
    const inFlight = await system.controlPlane.dial(RUNNER, TARGET);
    inFlight.write("before ");
    assert.equal(String((await next<[Buffer]>(inFlight, "data"))[0]), "before ");

    agent.signal("SIGTERM");
    await agent.logged("draining; a second signal exits at once");
    const rest = ending(inFlight);
    inFlight.write("during ");
    const waits = system.controlPlane.dial(RUNNER, TARGET);
    assert.ok(agent.running);
    await using successor = startAgent(system.url, RUNNER, echo);
    const late = await within(waits, "the dial that waited");
    late.end("late");
    assert.equal((await ending(late)).data.toString(), "late");
    inFlight.end("after");
    assert.deepEqual([(await rest).kind, (await rest).data.toString()], ["end", "during after"]);
    assert.deepEqual(await within(agent.exited, "its end"), { code: 0, signal: null });
    assert.ok(successor.running);
  });

  it("refuses no dial by mistake: without a successor it fails with the reason when the grace is over", async () => {
    await using system = await start(300);
    await using agent = startAgent(system.url, RUNNER, `${TARGET}=${system.target.address}`);
    await system.registry.findNth(2, ({ type }) => type === "connected", "both connections");
    const inFlight = await system.controlPlane.dial(RUNNER, TARGET);
    const end = ending(inFlight);
    agent.signal("SIGTERM");
    await agent.logged("draining; a second signal exits at once");
    await assert.rejects(
      system.controlPlane.dial(RUNNER, TARGET),
      (error) => error instanceof TurnaboutError && error.status === 503,
    );
    inFlight.end();
    assert.equal((await end).kind, "end");
    await within(agent.exited, "its end");
  });

  it("ends at its drain deadline: what is open then fails as an error", async () => {
    await using system = await start(300);
    const args = ["--drain", "0.2"];
    await using agent = startAgent(system.url, RUNNER, `${TARGET}=${system.target.address}`, args);
    await system.registry.findNth(2, ({ type }) => type === "connected", "both connections");
    const inFlight = await system.controlPlane.dial(RUNNER, TARGET);
    const end = ending(inFlight);
    assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });
    assert.equal((await end).kind, "error");
  });
});

describe("an agent that is closed", () => {
  it("finishes what it has in flight also after it has reconnected", async () => {
    await using system = await startSystem({ agents: 0 });
    await using followed = followAgent({
      server: system.url,
      runners: { [RUNNER]: { [TARGET]: system.target.address } },
      drainMs: 10_000,
    });
    await followed.connected();
    await assertEchoes(system.controlPlane.dial);
    system.controlPlane.runners()[0]?.connections[0]?.destroy("test");
    await followed.events.findNth(2, ({ type }) => type === "connected", "the reconnect");
    const inFlight = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
    const rest = ending(inFlight);
    const connection = system.controlPlane.runners()[0]?.connections[0];
    assert.ok(connection);
    let isClosed = false;
    const closed = followed.agent.close().then(() => (isClosed = true));
    inFlight.write("during ");
    await eventually(() => connection.draining.aborted, "the agent's GOAWAY");
    await turn(10);
    assert.equal(isClosed, false);
    inFlight.end("after");
    assert.deepEqual([(await rest).kind, (await rest).data.toString()], ["end", "during after"]);
    await within(closed, "its end");
  });
});
