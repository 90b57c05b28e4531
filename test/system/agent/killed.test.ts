import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { WAITING_DIALS_PER_CALLER_AND_RUNNER } from "../../../src/control/limits.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { assertEchoes } from "../../support/agents.ts";
import { startAgent } from "../../support/commands.ts";
import type { Command } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { bodyOf, call, errorCode, open, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { promptly } from "../../support/stopwatch.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { startEchoTarget, startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

interface Stand extends AsyncDisposable {
  controlPlane: ControlPlane;
  url: string;
  registry: EventLog<RegistryEvent>;
  /** An agent process for `victim`. Resolves when it is registered. */
  agent(target: string): Promise<Command>;
}

async function start(graceMs: number): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const registry = new EventLog<RegistryEvent>();
  const controlPlane = stack.use(
    await createControlPlane({
      port: 0,
      host: "127.0.0.1",
      adminToken: ADMIN_TOKEN,
      graceMs,
      drainMs: 500,
      onEvent: registry.push,
    }),
  );
  const url = `http://127.0.0.1:${controlPlane.port}`;
  return {
    controlPlane,
    url,
    registry,
    agent: async (target) => {
      const from = registry.length;
      const command = stack.use(startAgent(url, "victim", target));
      await registry.find(({ type }) => type === "connected", "the registration", { from });
      return command;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function killed(stand: Stand, agent: Command): Promise<void> {
  await agent.end("SIGKILL");
  await stand.registry.find(({ type }) => type === "lost", "the loss");
}

function codeOf(error: unknown): string {
  return error instanceof TurnaboutError ? error.code : String(error);
}

describe("an agent process that is killed", () => {
  it("fails its requests in flight as errors: streams, responses without and with a header", async () => {
    await using stand = await start(30_000);
    await using echo = await startEchoTarget();
    await using target = await startHttpTarget((request, response) => {
      if (request.url === "/silent") return;
      response.writeHead(200, { "content-type": "text/plain" }); // no length: an early end could pass for the end
      response.write("half of the response");
    });
    const agent = await stand.agent(`echo=${echo.address}`);
    await using web = startAgent(stand.url, "web", `web=${target.address}`);
    await stand.registry.find(({ runner }) => runner === "web", "the other agent");

    const sockets = await Promise.all(
      Array.from({ length: 50 }, () => stand.controlPlane.dial("victim", "echo")),
    );
    const endings = sockets.map((socket) => ending(socket));
    const silent = open(targetUrl(stand.url, "web", "web", "/silent"));
    const half = await open(targetUrl(stand.url, "web", "web", "/half"));
    assert.equal(half.statusCode, 200);
    assert.equal(String((await next<[Buffer]>(half, "data"))[0]), "half of the response");
    const halfEnding = ending(half);
    await Promise.all([agent.end("SIGKILL"), web.end("SIGKILL")]);

    for (const { kind, code } of await Promise.all(endings)) {
      assert.deepEqual([kind, code], ["error", "tunnel_lost"]);
    }
    assert.equal((await halfEnding).kind, "error", "a cut response is never a complete one");
    const response = await silent;
    assert.equal(response.statusCode, 502);
    assert.match(await bodyOf(response), /"tunnel_lost"/, "and not the target's fault");
  });

  it("lets dials wait in the grace, and they succeed when it is back", async () => {
    await using stand = await start(30_000);
    await using echo = await startEchoTarget();
    await killed(stand, await stand.agent(`echo=${echo.address}`));
    const dials = Array.from({ length: 20 }, () => assertEchoes(stand.controlPlane.dial, "victim", "echo"));
    assert.equal(stand.controlPlane.runners()[0]?.waitingDials, 20);
    assert.equal(stand.controlPlane.runners()[0]?.state, "reconnecting");
    await stand.agent(`echo=${echo.address}`);
    await Promise.all(dials);
  });

  it("lets dials fail at the end of the grace, and after it at once", async () => {
    await using stand = await start(300);
    await using echo = await startEchoTarget();
    await killed(stand, await stand.agent(`echo=${echo.address}`));
    const waiting = stand.controlPlane.dial("victim", "echo");
    await assert.rejects(waiting, (error) => codeOf(error) === "runner_offline");
    await stand.registry.find(({ type }) => type === "grace-expired", "the end of the grace");
    assert.equal(stand.controlPlane.runners()[0]?.state, "gone");
    const response = await promptly(call(targetUrl(stand.url, "victim", "echo")), "the refusal", 250);
    assert.deepEqual([response.status, errorCode(response)], [503, "runner_offline"]);
    assert.ok(Number(response.headers["retry-after"]) > 0);
  });

  it("is waited for by a bounded number of dials of each caller; its next is refused at once", async () => {
    await using stand = await start(30_000);
    await using echo = await startEchoTarget();
    await killed(stand, await stand.agent(`echo=${echo.address}`));
    const given = new AbortController();
    const dials = Array.from({ length: WAITING_DIALS_PER_CALLER_AND_RUNNER }, () =>
      stand.controlPlane.dial("victim", "echo", { signal: given.signal }).catch(codeOf),
    );
    await assert.rejects(
      stand.controlPlane.dial("victim", "echo"),
      (error) => codeOf(error) === "overloaded",
    );
    const other = call(targetUrl(stand.url, "victim", "echo"), { signal: given.signal });
    await eventually(
      () => stand.controlPlane.runners()[0]?.waitingDials === WAITING_DIALS_PER_CALLER_AND_RUNNER + 1,
      "another caller's place",
    );
    given.abort();
    assert.deepEqual(new Set(await Promise.all(dials)), new Set(["aborted"]));
    await assert.rejects(other);
    await eventually(() => stand.controlPlane.runners()[0]?.waitingDials === 0, "all places are free");
    const again = assertEchoes(stand.controlPlane.dial, "victim", "echo");
    await stand.agent(`echo=${echo.address}`);
    await again;
  });

  it("is no longer waited for by a caller that has disconnected", async () => {
    await using stand = await start(30_000);
    await using echo = await startEchoTarget();
    await killed(stand, await stand.agent(`echo=${echo.address}`));
    const given = new AbortController();
    const call = open(targetUrl(stand.url, "victim", "echo"), { signal: given.signal });
    await eventually(() => stand.controlPlane.runners()[0]?.waitingDials === 1, "the waiting dial");
    given.abort();
    await assert.rejects(call);
    await eventually(() => stand.controlPlane.runners()[0]?.waitingDials === 0, "its place is free");
  });
});
