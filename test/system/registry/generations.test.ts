import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import type { FollowedAgent } from "../../support/agents.ts";
import { api } from "../../support/api.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

/** A target that sends its name and then echoes. */
function named(name: string): Promise<TestTarget> {
  return startTarget((socket) => {
    socket.write(name);
    socket.pipe(socket);
  });
}

interface Stand extends AsyncDisposable {
  system: System;
  registry: EventLog<RegistryEvent>;
  add(target: TestTarget, options?: Partial<Parameters<typeof followAgent>[0]>): FollowedAgent;
}

/** A system with two credentials. Its agents are `wolf` with the first one by default. */
async function start(tls = false): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const registry = new EventLog<RegistryEvent>();
  const runner = (id: string, runners: string[]): TokenRecord => {
    return { id, kind: "runner", sha256: hashToken(id), runners };
  };
  const tokens = [runner("ours", ["*"]), runner("theirs", ["*"])];
  const system = stack.use(
    await startSystem({ tls, agents: 0, controlPlane: { tokens, onEvent: registry.push } }),
  );
  return {
    system,
    registry,
    add: (target, options = {}) =>
      stack.use(
        followAgent({
          server: system.url,
          caFile: system.caFile,
          token: { value: "ours" },
          runners: { wolf: { api: target.address } },
          standbyDelayMs: 100,
          ...options,
        }),
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function whoServes(system: System, runner = "wolf"): Promise<string> {
  const socket = await system.controlPlane.dial(runner, "api", { waitMs: 5_000 });
  const [chunk] = await next<[Buffer]>(socket, "data");
  socket.destroy();
  return chunk.toString();
}

for (const carrier of ["ptth", "rh2"] as const) {
  describe(`a newer agent of the same credential, on ${carrier}`, () => {
    it("takes over; the old one is notified and finishes its open streams, and its late close removes nothing", async () => {
      await using stand = await start(carrier === "rh2");
      const { system, registry } = stand;
      await using first = await named("first");
      await using second = await named("second");
      const old = stand.add(first, { carrier });
      await old.connected();
      const inFlight = await system.controlPlane.dial("wolf", "api", { waitMs: 5_000 });
      assert.equal(String((await next<[Buffer]>(inFlight, "data"))[0]), "first");

      const fresh = stand.add(second, { carrier });
      await registry.find(({ type }) => type === "replaced", "the replacement");
      const { reason } = await old.lost();
      assert.equal(reason, "replaced: a newer agent serves wolf");
      assert.equal(await whoServes(system), "second");

      const rest = ending(inFlight);
      inFlight.end(" and its rest");
      assert.equal((await rest).data.toString(), " and its rest");
      assert.equal((await rest).kind, "end");
      await eventually(
        () => system.controlPlane.runners()[0]?.fallbackConnections.length === 1,
        "the old one as a stand-by",
      );
      await eventually(() => old.agent.connections === 1, "the old connection's late close");
      assert.equal(system.controlPlane.runners()[0]?.state, "connected");
      assert.equal(await whoServes(system), "second");
      assert.deepEqual(
        registry.all.map(({ type }) => type),
        ["connected", "replaced", "connected"],
        "no loss was seen",
      );
      assert.equal(fresh.events.length, 1);
    });

    it("leaves the old one connected as a stand-by until the newest leaves", async () => {
      await using stand = await start(carrier === "rh2");
      const { system, registry } = stand;
      await using first = await named("first");
      await using second = await named("second");
      const old = stand.add(first, { carrier });
      await old.connected();
      await registry.find(({ type }) => type === "connected", "the first registration");
      const fresh = stand.add(second, { carrier });
      await old.events.find(({ type }) => type === "replaced", "the replacement");
      const view = () => system.controlPlane.runners()[0];
      await eventually(() => view()?.fallbackConnections.length === 1, "it as a stand-by");
      assert.equal(await whoServes(system), "second");
      const before = old.events.length;

      await fresh.agent.close();
      assert.equal(await whoServes(system), "first");
      await eventually(() => view()?.fallbackConnections.length === 0, "the end of the newest");
      assert.deepEqual(
        registry.all.map(({ type }) => type),
        ["connected", "replaced", "connected", "lost", "connected"],
      );
      assert.equal(view()?.state, "connected");
      assert.equal(old.events.length, before, "its own connection serves: it did not dial for that");
    });
  });
}

describe("an agent of another credential", () => {
  for (const carrier of ["ptth", "websocket", "rh2", "h2"] as const) {
    it(`is refused on ${carrier} with the reason`, async () => {
      await using stand = await start(carrier === "rh2");
      await using first = await named("first");
      await using second = await named("second");
      await stand.add(first).connected();
      await stand.registry.find(({ type }) => type === "connected", "the first registration");
      const other = stand.add(second, { carrier, token: { value: "theirs" } });
      const { error } = await other.failed();
      assert.match(
        error.message,
        carrier === "rh2"
          ? /^refused: runner_taken: The runner is registered by another agent/
          : /the control plane refused \(409\): The runner is registered by another agent/,
      );
      assert.equal(await whoServes(stand.system), "first");
    });
  }

  it("is refused while the agent that holds the runner is only reconnecting", async () => {
    await using stand = await start();
    await using first = await named("first");
    const holder = stand.add(first);
    await holder.connected();
    await stand.registry.find(({ type }) => type === "connected", "the registration");
    await holder.agent.close();
    await stand.registry.find(({ type }) => type === "lost", "the loss");
    const other = stand.add(first, { token: { value: "theirs" } });
    assert.match((await other.failed()).error.message, /refused \(409\)/);
  });

  it("gets the runner at once, and the dials that wait for it, when the holder's has been revoked", async () => {
    await using stand = await start();
    await using first = await named("first");
    await using second = await named("second");
    const { system, registry } = stand;
    await stand.add(first).connected();
    await registry.find(({ type }) => type === "connected", "the registration");
    const lost = registry.find(({ type }) => type === "lost", "the loss");
    assert.equal((await api(system.url, "DELETE", "/api/v1/tokens/ours")).status, 204);
    await lost;
    const waiting = whoServes(system);
    await stand.add(second, { token: { value: "theirs" } }).connected();
    assert.equal(await waiting, "second");
  });
});

describe("connections of one agent process", () => {
  it("belong to one generation: none replaces another", async () => {
    await using stand = await start();
    await using target = await named("only");
    const agent = stand.add(target, { connections: 3 });
    const isConnect = ({ type }: { type: string }): boolean => type === "connected";
    await stand.registry.findNth(3, isConnect, "three registrations");
    assert.equal(stand.system.controlPlane.runners()[0]?.connections.length, 3);
    assert.ok(stand.registry.all.every(isConnect));
    assert.equal(agent.agent.connections, 3);
  });

  it("may be lost one by one: the runner stays connected", async () => {
    await using stand = await start();
    await using target = await named("only");
    const agent = stand.add(target, { connections: 2 });
    await stand.registry.findNth(2, ({ type }) => type === "connected", "two registrations");
    stand.system.controlPlane.runners()[0]?.connections[0]?.destroy("test");
    await agent.lost();
    assert.equal(await whoServes(stand.system), "only");
    await stand.registry.findNth(3, ({ type }) => type === "connected", "the reconnect");
    assert.ok(
      stand.registry.all.every(({ type }) => type === "connected"),
      "never lost",
    );
  });

  it("keep the runner that no newer agent serves", async () => {
    await using stand = await start();
    await using first = await named("first");
    await using second = await named("second");
    const both = stand.add(first, {
      runners: { "wolf-a": { api: first.address }, "wolf-b": { api: first.address } },
    });
    await stand.registry.findNth(2, ({ type }) => type === "connected", "both registrations");
    stand.add(second, { runners: { "wolf-a": { api: second.address } } });
    await stand.registry.find(({ type }) => type === "replaced", "the take-over of one");
    assert.equal(await whoServes(stand.system, "wolf-a"), "second");
    assert.equal(await whoServes(stand.system, "wolf-b"), "first");
    await assert.rejects(assertEchoes(stand.system.controlPlane.dial, "wolf-b", "other"), /no such target/);
    assert.ok(!both.events.all.some(({ type }) => type === "lost"), "its connection was not closed");
  });
});
