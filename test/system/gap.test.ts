/** Many requests within a gap of the agent: they wait, none fails, and the target is not buried when it is back. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { STREAMS_PER_TARGET } from "../../src/agent/limits.ts";
import { hashToken } from "../../src/control/auth/tokens.ts";
import { eventually, next } from "../support/events.ts";
import { call, targetUrl } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { startHttpTarget, startTarget } from "../support/target.ts";

afterEach(() => assertNothingOpen());

async function lose(system: System): Promise<void> {
  await system.agent.close();
  await eventually(() => system.controlPlane.runners()[0]?.state === "reconnecting", "the loss");
}

async function waitFor(system: System, count: number): Promise<void> {
  await eventually(() => system.controlPlane.runners()[0]?.waitingDials === count, `${count} waiting dials`);
}

describe("an agent that is away for a second", () => {
  it(`fails none of 1,000 dials, and reaches the target by at most ${STREAMS_PER_TARGET} connections at once`, async () => {
    let most = 0;
    await using target = await startTarget((socket) => {
      most = Math.max(most, target.sockets.size);
      setTimeout(() => socket.end("served"), 20);
    });
    await using system = await startSystem({ target });
    await lose(system);
    const dials = Array.from({ length: 1_000 }, async () => {
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      const [chunk] = await next<[Buffer]>(socket, "data", 20_000);
      socket.destroy();
      return chunk.toString();
    });
    await waitFor(system, 1_000);
    await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
    assert.deepEqual(new Set(await Promise.all(dials)), new Set(["served"]));
    assert.ok(most > 100 && most <= STREAMS_PER_TARGET, `${most} at once`);
  });

  it("fails none of 700 requests of two callers, also of a target that keeps connections alive", async () => {
    const order: string[] = [];
    await using target = await startHttpTarget((request, response) => {
      order.push(String(request.headers["x-who"]));
      response.end("served");
    });
    const token = (id: string) => ({ id, kind: "user" as const, sha256: hashToken(id), runners: ["*"] });
    await using system = await startSystem({
      target,
      controlPlane: { tokens: [token("greedy"), token("modest")] },
    });
    await lose(system);
    const ask = async (who: string): Promise<number> => {
      const headers = { authorization: `Bearer ${who}`, "x-who": who };
      return (await call(targetUrl(system.url, RUNNER, TARGET), { headers, timeoutMs: 20_000 })).status;
    };
    const greedy = Array.from({ length: 600 }, () => ask("greedy"));
    await waitFor(system, 600);
    const modest = Array.from({ length: 100 }, () => ask("modest"));
    await waitFor(system, 700);
    await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
    assert.deepEqual(new Set(await Promise.all([...greedy, ...modest])), new Set([200]));
    const last = order.lastIndexOf("modest");
    assert.ok(last < 600, `the modest caller's last request was the ${last}th of 700`);
  });

  it("is served at once where streams stay open: nobody waits for them to end", async () => {
    await using target = await startTarget((socket) => void socket.write("open"));
    await using system = await startSystem({ target });
    await lose(system);
    const dials = Array.from({ length: 400 }, () => system.controlPlane.dial(RUNNER, TARGET));
    await waitFor(system, 400);
    await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
    const sockets = await Promise.all(dials);
    await pause(0);
    for (const socket of sockets) socket.destroy();
  });
});
