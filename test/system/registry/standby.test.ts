/** Stand-bys: agents behind a newer process of their credential, connected and not used until that is lost. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { MAX_STANDBYS_PER_RUNNER } from "../../../src/control/limits.ts";
import type { RunnerView } from "../../../src/control/registry/registry.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { followAgent } from "../../support/agents.ts";
import type { FollowedAgent } from "../../support/agents.ts";
import { eventually, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem } from "../../support/system.ts";
import type { System, SystemOptions } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

interface Stand extends AsyncDisposable {
  system: System;
  view(): RunnerView | undefined;
  /** Starts a newer process of the runner, whose target sends this name. Resolves when it serves. */
  add(name: string, options?: Partial<Parameters<typeof followAgent>[0]>): Promise<FollowedAgent>;
  whoServes(): Promise<string>;
}

async function start(options: SystemOptions = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const system = stack.use(await startSystem({ agents: 0, ...options }));
  const view = (): RunnerView | undefined => system.controlPlane.runners()[0];
  const whoServes = async (): Promise<string> => {
    const socket = await system.controlPlane.dial(RUNNER, "name", { waitMs: 5_000 });
    const [chunk] = await next<[Buffer]>(socket, "data");
    socket.destroy();
    return chunk.toString();
  };
  return {
    system,
    view,
    whoServes,
    add: async (name, own = {}) => {
      const target = stack.use(await startTarget((socket) => void socket.write(name)));
      const before = view()?.fallbackConnections.length ?? 0;
      const hadOne = view() !== undefined;
      const agent = stack.use(
        followAgent({
          server: system.url,
          caFile: system.caFile,
          runners: { [RUNNER]: { name: target.address } },
          standbyDelayMs: 100,
          ...own,
        }),
      );
      await agent.connected();
      if (hadOne)
        await eventually(
          () => (view()?.fallbackConnections.length ?? 0) > before,
          "the one before as a stand-by",
        );
      else await eventually(() => view() !== undefined, "the registration");
      return agent;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("an agent that stands by", () => {
  for (const carrier of ["ptth", "websocket", "rh2"] as const) {
    it(`serves as soon as the newest is lost, and stands by again when that has reconnected (${carrier})`, async () => {
      await using stand = await start({ tls: carrier === "rh2" });
      const older = await stand.add("older", { carrier });
      const newest = await stand.add("newest", { carrier, backoffBaseMs: 1_000, backoffCapMs: 1_000 });
      assert.equal(await stand.whoServes(), "newest");
      const [standby] = stand.view()?.fallbackConnections ?? [];
      const events = older.events.length;

      for (const connection of stand.view()?.connections ?? []) connection.destroy("cut by the test");
      await eventually(() => stand.view()?.connections[0]?.id === standby?.id, "the take-over");
      assert.equal(stand.view()?.state, "connected");
      assert.equal(await stand.whoServes(), "older");

      await newest.events.findNth(2, ({ type }) => type === "connected", "its return");
      await eventually(
        () => stand.view()?.fallbackConnections[0]?.id === standby?.id,
        "the older one as a stand-by",
      );
      assert.equal(await stand.whoServes(), "newest");
      assert.equal(older.events.length, events, "it kept its connection");
    });
  }

  it("takes over from one that is silent as soon as that is noticed", async () => {
    const keepalive = { pingIntervalMs: 50, pingDeadlineMs: 200 };
    await using stand = await start({ faulty: true, controlPlane: keepalive });
    await stand.add("older");
    await stand.add("newest", { server: stand.system.agentUrl, ...keepalive });
    const lost = stand.view()?.connections[0]?.id;
    stand.system.path?.stall();
    await eventually(() => stand.view()?.connections[0]?.id !== lost, "the take-over");
    assert.equal(await stand.whoServes(), "older");
  });

  it("takes over while the newest drains", async () => {
    await using stand = await start();
    await stand.add("older");
    const newest = await stand.add("newest", { drainMs: 5_000 });
    const held = await stand.system.controlPlane.dial(RUNNER, "name");
    const closing = newest.agent.close();
    await eventually(() => stand.view()?.connections[0]?.usable === true, "the take-over");
    assert.equal(await stand.whoServes(), "older");
    held.destroy();
    await closing;
  });

  it("is one of a bounded number; the next is refused, and retries until there is room", async () => {
    await using stand = await start();
    const agents: FollowedAgent[] = [];
    for (let n = 0; n <= MAX_STANDBYS_PER_RUNNER; n += 1) agents.push(await stand.add(`agent ${n}`));
    const newest = followAgent({ server: stand.system.url, runners: { [RUNNER]: { name: "127.0.0.1:1" } } });
    await using _newest = newest;
    const last = agents.at(-1);
    assert.ok(last !== undefined);
    const { error, retryInMs } = await last.failed();
    assert.equal(error instanceof TurnaboutError && error.code, "runner_taken");
    assert.ok(retryInMs <= 100, "at the interval of stand-bys");
    assert.equal(stand.view()?.fallbackConnections.length, MAX_STANDBYS_PER_RUNNER);
    const connects = () => last.events.all.filter(({ type }) => type === "connected").length;
    const before = connects();
    await agents[0]?.agent.close();
    await eventually(() => connects() > before, "its connection");
  });
});
