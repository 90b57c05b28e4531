import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Registry } from "../../../src/control/registry/registry.ts";
import type { ControlPlaneExtension } from "../../../src/control/extension.ts";
import { connectionOn } from "../../support/agent-connection.ts";
import { assertEchoes } from "../../support/agents.ts";
import { api, issueToken } from "../../support/api.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { openSessionPair } from "../../support/session-pair.ts";
import { isConnected, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

/** As of a listener or a logger that writes to a full disk. */
function fail(): never {
  throw new Error("ENOSPC: no space left on device");
}

const failing: ControlPlaneExtension = {
  name: "failing",
  install: ({ events }) => {
    events.onRunnerEvent(fail);
    return { close: () => {} };
  },
};

describe("listeners and loggers that throw", () => {
  it("keep no agent out, leave none behind as connected, and stop no revocation", async () => {
    const log = { debug: fail, info: fail, warn: fail, error: fail };
    await using system = await startSystem({
      agents: 0,
      controlPlane: { log, onEvent: fail, extensions: [failing] },
    });
    const { controlPlane, target, url } = system;
    const value = await issueToken(url, { id: "host", kind: "runner", runners: [RUNNER] });
    const runners = { [RUNNER]: { [TARGET]: target.address } };
    for (let round = 1; round <= 2; round += 1) {
      const agent = await system.addAgent(runners, { token: { value } });
      await assertEchoes(controlPlane.dial);
      await agent.close();
      await eventually(() => !isConnected(controlPlane), "the end of its connection");
    }
    await system.addAgent(runners, { token: { value } });
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/host")).status, 204);
    await eventually(() => !isConnected(controlPlane), "the end of what the token had opened");
  });

  it("change nothing about a registration that fails half way: none of its runners stays connected", async () => {
    await using pair = await openSessionPair();
    const connection = connectionOn(pair);
    connection.runners.set("own", { id: "own", targets: [] });
    connection.runners.set("found", { id: "found", targets: [], discovered: true });
    connection.identity = {
      ...connection.identity,
      mayRegister: (id) => id === "own" || fail(),
    };
    const events: string[] = [];
    const registry = new Registry({
      onEvent: ({ type, runner }) => {
        events.push(`${type} ${runner}`);
        fail();
      },
    });
    assert.throws(() => registry.register(connection), /ENOSPC/);
    assert.deepEqual(
      registry.list().map(({ id, state }) => [id, state]),
      [["own", "gone"]],
    );
    assert.deepEqual(events, ["connected own", "lost own", "grace-expired own"]);
    registry.close();
  });
});
