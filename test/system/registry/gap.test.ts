/** Many requests while the agent is disconnected: they wait, none fails, and the target is not flooded after the reconnect. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { STREAMS_PER_TARGET } from "../../../src/agent/limits.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { TARGET_STREAMS_PER_HOLDER } from "../../../src/control/shares/limits.ts";
import type { TurnaboutError } from "../../../src/wire/errors.ts";
import { eventually, next } from "../../support/events.ts";
import { call, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget, startTarget } from "../../support/target.ts";
import { startStopwatch } from "../../support/stopwatch.ts";

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
    let max = 0;
    await using target = await startTarget((socket) => {
      max = Math.max(max, target.sockets.size);
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
    assert.ok(max > 100 && max <= STREAMS_PER_TARGET, `${max} at once`);
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
    const request = async (who: string): Promise<number> => {
      const headers = { authorization: `Bearer ${who}`, "x-who": who };
      return (await call(targetUrl(system.url, RUNNER, TARGET), { headers, timeoutMs: 20_000 })).status;
    };
    const greedy = Array.from({ length: 600 }, () => request("greedy"));
    await waitFor(system, 600);
    const modest = Array.from({ length: 100 }, () => request("modest"));
    await waitFor(system, 700);
    await system.addAgent({ [RUNNER]: { [TARGET]: target.address } });
    assert.deepEqual(new Set(await Promise.all([...greedy, ...modest])), new Set([200]));
    const last = order.lastIndexOf("modest");
    assert.ok(last < 600, `the modest caller's last request was the ${last}th of 700`);
  });

  it("does not delay dials whose target keeps streams open", async () => {
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
  it("refuses further dials soon if its streams stay open", async () => {
    await using target = await startTarget((socket) => void socket.write("open"));
    await using system = await startSystem({ target });
    const stopwatch = startStopwatch();
    const dials = Array.from({ length: STREAMS_PER_TARGET + 48 }, () =>
      system.controlPlane.dial(RUNNER, TARGET),
    );
    const settled = await Promise.allSettled(dials);
    const refused = settled.filter((dial) => dial.status === "rejected");
    const codes = new Set(refused.map(({ reason }) => (reason as TurnaboutError).code));
    for (const dial of settled) if (dial.status === "fulfilled") dial.value.destroy();
    assert.deepEqual([refused.length, [...codes]], [48, ["overloaded"]]);
    assert.ok(stopwatch.elapsedMs() < 10_000, "soon");
  });

  it("makes requests wait, over all connections together, until some end", async () => {
    const held: ServerResponse[] = [];
    let holds = true;
    await using target = await startHttpTarget((_request, response) => {
      if (holds) held.push(response);
      else response.end("served");
    });
    await using system = await startSystem({ target, agent: { connections: 2 } });
    await eventually(() => system.agent.connections === 2, "two connections");
    const url = targetUrl(system.url, RUNNER, TARGET);
    const request = () => call(url, { timeoutMs: 30_000 });
    const responses = Array.from({ length: TARGET_STREAMS_PER_HOLDER }, request);
    // First, because those that wait are refused when none ends for two seconds: others may have the cores.
    await eventually(() => held.length === TARGET_STREAMS_PER_HOLDER, "all streams that one holder may have");
    const waiting = STREAMS_PER_TARGET + 10 - TARGET_STREAMS_PER_HOLDER;
    responses.push(...Array.from({ length: waiting }, request));
    const first = Promise.race(responses);
    await Promise.race([first, waitFor(system, waiting)]);
    holds = false;
    for (const response of held) response.end("served");
    const statuses = (await Promise.all(responses)).map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([200]));
  });

  it("has room for others while most of them are idle keep-alive streams", async () => {
    const held: ServerResponse[] = [];
    await using target = await startHttpTarget((_request, response) => void held.push(response));
    await using system = await startSystem({ target });
    const url = targetUrl(system.url, RUNNER, TARGET);
    const count = 470;
    const responses = Array.from({ length: count }, () => call(url, { timeoutMs: 30_000 }));
    await eventually(() => held.length === count, `${count} requests`);
    for (const response of held) response.end();
    await Promise.all(responses);
    const dials = Array.from({ length: 412 }, () => system.controlPlane.dial(RUNNER, TARGET));
    for (const socket of await Promise.all(dials)) socket.destroy();
  });
});
