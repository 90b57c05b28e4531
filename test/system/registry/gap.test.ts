/** Many requests within a gap of the agent: they wait, none fails, and the target is not buried when it is back. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { STREAMS_PER_TARGET } from "../../../src/agent/limits.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { ARRIVAL_STREAMS_PER_TARGET } from "../../../src/control/limits.ts";
import type { TurnaboutError } from "../../../src/wire/errors.ts";
import { eventually, next } from "../../support/events.ts";
import { call, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";

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

describe(`a target with ${STREAMS_PER_TARGET} streams`, () => {
  it("refuses further ones soon where they stay open", async () => {
    await using target = await startTarget((socket) => void socket.write("open"));
    await using system = await startSystem({ target });
    const startedAt = performance.now();
    const dials = Array.from({ length: STREAMS_PER_TARGET + 48 }, () =>
      system.controlPlane.dial(RUNNER, TARGET),
    );
    const settled = await Promise.allSettled(dials);
    const refused = settled.filter((dial) => dial.status === "rejected");
    const codes = new Set(refused.map(({ reason }) => (reason as TurnaboutError).code));
    for (const dial of settled) if (dial.status === "fulfilled") dial.value.destroy();
    assert.deepEqual([refused.length, [...codes]], [48, ["overloaded"]]);
    assert.ok(performance.now() - startedAt < 10_000, "soon");
  });

  it("makes requests wait where some end, over all connections together", async () => {
    const held: ServerResponse[] = [];
    let holds = true;
    await using target = await startHttpTarget((_request, response) => {
      if (holds) held.push(response);
      else response.end("served");
    });
    await using system = await startSystem({ target, agent: { connections: 2 } });
    await eventually(() => system.agent.connections === 2, "two connections");
    const url = targetUrl(system.url, RUNNER, TARGET);
    const answers = Array.from({ length: STREAMS_PER_TARGET + 100 }, () => call(url, { timeoutMs: 30_000 }));
    const refusal = Promise.race(answers);
    await Promise.race([refusal, waitFor(system, STREAMS_PER_TARGET + 100 - ARRIVAL_STREAMS_PER_TARGET)]);
    holds = false;
    for (const response of held) response.end("served");
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([200]));
  });

  it("has room for others while most lie idle, kept for the next request", async () => {
    const responses: ServerResponse[] = [];
    await using target = await startHttpTarget((_request, response) => void responses.push(response));
    await using system = await startSystem({ target });
    const url = targetUrl(system.url, RUNNER, TARGET);
    const most = 470;
    const answers = Array.from({ length: most }, () => call(url, { timeoutMs: 30_000 }));
    await eventually(() => responses.length === most, `${most} requests`);
    for (const response of responses) response.end();
    await Promise.all(answers);
    const dials = Array.from({ length: STREAMS_PER_TARGET - 100 }, () =>
      system.controlPlane.dial(RUNNER, TARGET),
    );
    for (const socket of await Promise.all(dials)) socket.destroy();
  });
});
