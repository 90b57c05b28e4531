import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, it, mock } from "node:test";
import { followAgent } from "../support/agents.ts";
import { startAgent } from "../support/commands.ts";
import { within } from "../support/events.ts";
import { startStranger } from "../support/fronts.ts";
import { runnersUntil } from "../support/http.ts";
import type { RunnerListing } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";

afterEach(async () => {
  mock.restoreAll();
  await assertNothingOpen();
});

const connected = (runners: RunnerListing[]): boolean =>
  runners[0]?.state === "connected" && runners[0].connections.length === 2;

describe("an agent process", () => {
  for (const format of ["json", "pretty"]) {
    it(`goes on when nobody reads its output any more (EPIPE), logging ${format}`, async () => {
      await using system = await startSystem({ agents: 0, faulty: true });
      const script = fileURLToPath(new URL("../../src/cli/turnabout.ts", import.meta.url));
      const args = ["agent", "--server", system.door, "--runner", RUNNER, "--backoff-cap", "0.1"];
      args.push("--target", `${TARGET}=${system.target.address}`, "--log-level", "debug");
      const agent = spawn(process.execPath, [script, ...args, "--log-format", format], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, NODE_TEST_CONTEXT: undefined, TURNABOUT_TOKEN: ADMIN_TOKEN },
      });
      const exited = once(agent, "exit");
      agent.stdout.destroy();
      agent.stderr.destroy();
      for (let losses = 0; losses < 3; losses += 1) {
        await runnersUntil(system.url, connected, "the agent");
        system.path?.reset(); // it has something to log
        await runnersUntil(system.url, (runners) => !connected(runners), "the loss");
      }
      await runnersUntil(system.url, connected, "the agent still comes back");
      assert.equal(agent.exitCode, null);
      agent.kill("SIGTERM");
      assert.deepEqual(await within(exited, "its end"), [0, null], "and it still drains in good order");
    });
  }

  it("ignores SIGHUP", async () => {
    await using system = await startSystem({ agents: 0 });
    await using agent = startAgent(system.url, RUNNER, `${TARGET}=${system.target.address}`);
    await runnersUntil(system.url, connected, "the agent");
    agent.signal("SIGHUP");
    const [view] = system.controlPlane.runners();
    system.controlPlane.kick(RUNNER);
    await agent.logged("kicked; connecting again"); // handled after the signal
    assert.ok(agent.running);
    assert.equal(view?.state, "connected");
  });

  it("goes on after a name that does not resolve, and asks again each time", async () => {
    await using agent = followAgent({ server: "http://no-such-host.invalid:8080" });
    const { error } = await agent.failed();
    assert.match(error.message, /^connect to no-such-host\.invalid:8080: getaddrinfo (ENOTFOUND|EAI_AGAIN)/);
    await agent.events.findNth(3, ({ type }) => type === "attempt-failed", "further attempts");
  });

  it("goes on after 401 and 403, with longer pauses than after a network failure", async () => {
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

  it("does not take a control plane that cannot answer now for a bad credential", async () => {
    mock.method(Math, "random", () => 0.999);
    await using front = await startStranger(503, "maintenance");
    await using agent = followAgent({ server: `http://127.0.0.1:${front.port}` });
    const { error, retryInMs } = await agent.failed();
    assert.match(error.message, /answered 503 instead of 101: maintenance/);
    assert.ok(retryInMs < 200, `${retryInMs} ms`);
  });
});
