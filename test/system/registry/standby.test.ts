/** Agents that stand by behind a newer process of their credential: connected, unused, and there when it is lost. */
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
  /** A process of the runner, newer than those before, whose target says this name. Resolves when it serves. */
  add(name: string, options?: Partial<Parameters<typeof followAgent>[0]>): Promise<FollowedAgent>;
  whoAnswers(): Promise<string>;
}

async function start(options: SystemOptions = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const system = stack.use(await startSystem({ agents: 0, ...options }));
  const view = (): RunnerView | undefined => system.controlPlane.runners()[0];
  const whoAnswers = async (): Promise<string> => {
    const socket = await system.controlPlane.dial(RUNNER, "name", { waitMs: 5_000 });
    const [chunk] = await next<[Buffer]>(socket, "data");
    socket.destroy();
    return chunk.toString();
  };
  return {
    system,
    view,
    whoAnswers,
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
          "the place of the one before",
        );
      else await eventually(() => view() !== undefined, "the registration");
      return agent;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("an agent that stands by", () => {
  for (const carrier of ["ptth", "websocket", "rh2"] as const) {
    it(`serves from the moment that the newest is lost, and is behind it again when that is back (${carrier})`, async () => {
      await using stand = await start({ tls: carrier === "rh2" });
      const older = await stand.add("older", { carrier });
      const newest = await stand.add("newest", { carrier, backoffBaseMs: 1_000, backoffCapMs: 1_000 });
      assert.equal(await stand.whoAnswers(), "newest");
      const [behind] = stand.view()?.fallbackConnections ?? [];
      const events = older.events.length;

      for (const connection of stand.view()?.connections ?? []) connection.destroy("cut by the test");
      await eventually(() => stand.view()?.connections[0]?.id === behind?.id, "the take-over");
      assert.equal(stand.view()?.state, "connected");
      assert.equal(await stand.whoAnswers(), "older");

      await newest.events.findNth(2, ({ type }) => type === "connected", "its return");
      await eventually(
        () => stand.view()?.fallbackConnections[0]?.id === behind?.id,
        "the older's place behind",
      );
      assert.equal(await stand.whoAnswers(), "newest");
      assert.equal(older.events.length, events, "it has had one connection all the time");
    });
  }

  it("takes over from one in a black hole as soon as that is noticed", async () => {
    const keepalive = { pingIntervalMs: 50, pingDeadlineMs: 200 };
    await using stand = await start({ faulty: true, controlPlane: keepalive });
    await stand.add("older");
    await stand.add("newest", { server: stand.system.door, ...keepalive });
    const lost = stand.view()?.connections[0]?.id;
    stand.system.path?.stall();
    await eventually(() => stand.view()?.connections[0]?.id !== lost, "the take-over");
    assert.equal(await stand.whoAnswers(), "older");
  });

  it("takes over while the newest drains", async () => {
    await using stand = await start();
    await stand.add("older");
    const newest = await stand.add("newest", { drainMs: 5_000 });
    const held = await stand.system.controlPlane.dial(RUNNER, "name");
    const closing = newest.agent.close();
    await eventually(() => stand.view()?.connections[0]?.usable === true, "the take-over");
    assert.equal(await stand.whoAnswers(), "older");
    held.destroy();
    await closing;
  });

  it("is one of a bounded number; the next is refused, and asks again until there is room", async () => {
    await using stand = await start();
    const agents: FollowedAgent[] = [];
    for (let n = 0; n <= MAX_STANDBYS_PER_RUNNER; n += 1) agents.push(await stand.add(`agent ${n}`));
    const newest = followAgent({ server: stand.system.url, runners: { [RUNNER]: { name: "127.0.0.1:1" } } });
    await using _newest = newest;
    const last = agents.at(-1);
    assert.ok(last !== undefined);
    const { error, retryInMs } = await last.failed();
    assert.equal(error instanceof TurnaboutError && error.code, "runner_taken");
    assert.ok(retryInMs <= 100, "at its stand-by pace");
    assert.equal(stand.view()?.fallbackConnections.length, MAX_STANDBYS_PER_RUNNER);
    const connects = () => last.events.all.filter(({ type }) => type === "connected").length;
    const before = connects();
    await agents[0]?.agent.close();
    await eventually(() => connects() > before, "its place");
  });
});
