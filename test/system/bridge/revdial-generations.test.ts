/** Several clients and agents of one runner: who serves it, and how a host moves from one to the other. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually, turn } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const TARGET = "default";

function named(name: string): Promise<TestTarget> {
  return startHttpTarget((_request, response) => response.end(name));
}

interface Stand extends AsyncDisposable {
  system: System;
  events: EventLog<RegistryEvent>;
  /** A client whose target responds with this name. */
  connect(name: string): Promise<RevDialClient>;
  target(name: string): Promise<TestTarget>;
}

async function start(): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const events = new EventLog<RegistryEvent>();
  const target = async (name: string): Promise<TestTarget> => stack.use(await named(name));
  const system = stack.use(await startSystem({ agents: 0, controlPlane: { onEvent: events.push } }));
  const connect = async (name: string): Promise<RevDialClient> =>
    stack.use(await RevDialClient.connect({ url: system.url, target: await target(name) }));
  return { system, events, connect, target, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function whoServes(system: System): Promise<string> {
  await using caller = await openCaller("HTTP/1.1", system);
  const headers = { prefer: "wait=5" };
  const { status, text } = await caller.call({ path: via("/", TARGET), headers });
  assert.equal(status, 200, text);
  return text;
}

function behind(system: System): number {
  return system.controlPlane.runners()[0]?.fallbackConnections.length ?? 0;
}

describe("RevDial clients of one runner", () => {
  it("are all closed by a kick, those that stand by too", async () => {
    await using stand = await start();
    const { system } = stand;
    const clients = [];
    for (const name of ["first", "second", "third"]) clients.push(await stand.connect(name));
    await eventually(() => behind(system) === 2, "two that stand by");
    assert.ok(system.controlPlane.kick(RUNNER));
    for (const { closed } of clients) assert.equal((await closed).code, 1001);
  });

  it("do not fight: the newest serves, the one before stands by and takes over", async () => {
    await using stand = await start();
    const { system, events } = stand;
    const first = await stand.connect("first");
    assert.equal(await whoServes(system), "first");
    const second = await stand.connect("second");
    assert.equal(await whoServes(system), "second");
    assert.equal(behind(system), 1);
    assert.equal(first.control.readyState, first.control.OPEN);
    second.kill();
    await events.findNth(3, ({ type }) => type === "connected", "the take-over");
    assert.equal(await whoServes(system), "first");
  });

  it("leave no more than a few behind", async () => {
    await using stand = await start();
    const { system } = stand;
    const clients: RevDialClient[] = [];
    for (let n = 0; n < 6; n += 1) clients.push(await stand.connect(`client ${n}`));
    for (const old of clients.slice(0, 3)) assert.equal((await old.closed).code, 1001);
    await eventually(() => behind(system) === 2, "two stand-bys");
    assert.equal(await whoServes(system), "client 5");
  });
});

describe("a runner that moves from a RevDial client to an agent", () => {
  it("does so without a failed request, and back when the agent stops", async () => {
    await using stand = await start();
    const { system, events } = stand;
    const client = await stand.connect("client");
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    const served = new Map<string, number>();
    let isOver = false;
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { status, text } = await caller.call({ path: via("/", TARGET), headers: { prefer: "wait=5" } });
        assert.equal(status, 200, text);
        served.set(text, (served.get(text) ?? 0) + 1);
        await turn();
      }
    });
    const until = (name: string): Promise<void> => {
      const before = served.get(name) ?? 0;
      return eventually(() => (served.get(name) ?? 0) >= before + 20, `requests at ${name}`);
    };
    await until("client");
    const target = await stand.target("agent");
    const agent = await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
    await until("agent");
    const again = await stand.connect("again"); // the old program restarts meanwhile
    client.kill();
    await until("agent");
    assert.equal(system.controlPlane.runners()[0]?.connections[0]?.tunnel.kind, "ptth");
    await agent.close();
    await until("again");
    await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
    again.kill();
    await until("agent");
    isOver = true;
    await Promise.all(load);
    assert.ok(!events.all.some(({ type }) => type === "grace-expired"));
  });
});
