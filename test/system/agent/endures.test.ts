import assert from "node:assert/strict";
import dns from "node:dns";
import { afterEach, describe, it, mock } from "node:test";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { followAgent } from "../../support/agents.ts";
import { startAgent } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually } from "../../support/events.ts";
import { startStranger } from "../../support/reverse-proxies.ts";
import { runnersUntil } from "../../support/http.ts";
import type { RunnerListing } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(async () => {
  mock.restoreAll();
  await assertNothingOpen();
});

type LookupCallback = (error: null, addresses: { address: string; family: number }[]) => void;

const connected = (runners: RunnerListing[]): boolean =>
  runners[0]?.state === "connected" && runners[0].connections.length === 2;

describe("an agent process", () => {
  for (const format of ["json", "pretty"]) {
    it(`continues when its output is closed (EPIPE), logging ${format}`, async () => {
      const registry = new EventLog<RegistryEvent>();
      const controlPlane = { onEvent: registry.push };
      await using system = await startSystem({ agents: 0, faulty: true, controlPlane });
      const args = [
        "--backoff-cap",
        "0.1",
        "--connections",
        "1",
        "--log-level",
        "debug",
        "--log-format",
        format,
      ];
      await using agent = startAgent(system.agentUrl, RUNNER, `${TARGET}=${system.target.address}`, args);
      agent.child.stdout?.destroy();
      agent.child.stderr?.destroy();
      for (let losses = 1; losses <= 3; losses += 1) {
        await registry.findNth(losses, ({ type }) => type === "connected", "the agent");
        system.path?.reset(); // it has something to log
        await registry.findNth(losses, ({ type }) => type === "lost", "the loss");
      }
      await registry.findNth(4, ({ type }) => type === "connected", "the agent's return");
      assert.ok(agent.running);
      assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null }, "and it drains in good order");
    });
  }

  it("ignores SIGHUP", async () => {
    await using system = await startSystem({ agents: 0 });
    await using agent = startAgent(system.url, RUNNER, `${TARGET}=${system.target.address}`);
    await runnersUntil(system.url, connected, "the agent");
    agent.signal("SIGHUP");
    const [view] = system.controlPlane.runners();
    system.controlPlane.kick(RUNNER);
    await agent.logged("kicked; reconnecting"); // handled after the signal
    assert.ok(agent.running);
    assert.equal(view?.state, "connected");
  });

  it("continues after a name that does not resolve, and resolves it again each time", async () => {
    await using agent = followAgent({ server: "http://no-such-host.invalid:8080" });
    const { error } = await agent.failed();
    assert.match(error.message, /^connect to no-such-host\.invalid:8080: getaddrinfo (ENOTFOUND|EAI_AGAIN)/);
    await agent.events.findNth(3, ({ type }) => type === "attempt-failed", "further attempts");
  });

  it("resolves the control plane's address at every attempt: a new address needs no restart", async () => {
    let address = "127.0.0.1";
    const lookup = (_name: string, _options: object, callback: LookupCallback): void => {
      callback(null, [{ address, family: 4 }]);
    };
    mock.method(dns, "lookup", lookup);
    await using before = await startSystem({ agents: 0, controlPlane: { host: address } });
    const { port } = before.controlPlane;
    await using agent = followAgent({ server: `http://cp.example:${port}` });
    await agent.connected();
    address = "127.0.0.2";
    await using after = await startSystem({ agents: 0, controlPlane: { host: address, port } });
    await before.controlPlane.close();
    await agent.events.findNth(2, ({ type }) => type === "connected", "the connect to the new address");
    await eventually(() => after.controlPlane.runners()[0]?.state === "connected", "its registration");
  });

  it("retries after 401 and 403, with longer pauses than after a network failure", async () => {
    const random = mock.method(Math, "random", () => 0.999);
    await using system = await startSystem({ agents: 0 });
    await using agent = followAgent({ server: system.url, token: { value: "wrong" } });
    const refused = await agent.failed();
    assert.match(refused.error.message, /refused \(401\)/);
    assert.ok(refused.retryInMs > 4_000, `${refused.retryInMs} ms`);
    await agent.agent.close();

    random.mock.mockImplementation(() => 0);
    await using stubborn = followAgent({ server: system.url, token: { value: "wrong" } });
    await stubborn.events.findNth(5, ({ type }) => type === "attempt-failed", "the fifth attempt");
  });

  it("does not treat a control plane that is unavailable as a refusal of its credential", async () => {
    mock.method(Math, "random", () => 0.999);
    await using proxy = await startStranger(503, "maintenance");
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}` });
    const { error, retryInMs } = await agent.failed();
    assert.match(error.message, /responded with 503 instead of 101: maintenance/);
    assert.ok(retryInMs < 200, `${retryInMs} ms`);
  });
});
