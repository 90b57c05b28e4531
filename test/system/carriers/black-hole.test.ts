import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const keepalive = { pingIntervalMs: 50, pingDeadlineMs: 200 };

describe("a path that goes silent without a FIN", () => {
  for (const carrier of ["ptth", "websocket", "rh2", "h2"] as const) {
    it(`is noticed by both ends of ${carrier}, streams fail with errors, and the agent reconnects`, async () => {
      const registry = new EventLog<RegistryEvent>();
      await using system = await startSystem({
        tls: carrier === "rh2",
        faulty: true,
        agents: 0,
        controlPlane: { ...keepalive, onEvent: registry.push },
      });
      await using agent = followAgent({
        server: system.agentUrl,
        caFile: system.caFile,
        carrier,
        ...keepalive,
        attemptTimeoutMs: 300,
        runners: { [RUNNER]: { [TARGET]: system.target.address } },
      });
      await registry.find(({ type }) => type === "connected", "the registration");
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      const end = ending(socket);
      system.path?.stall();
      await registry.find(({ type }) => type === "lost", "the control plane's notice");
      await agent.lost();
      const { kind, error } = await end;
      assert.equal(kind, "error");
      assert.equal(error instanceof TurnaboutError && error.code, "tunnel_lost");
      await agent.failed(); // the hole swallows new attempts, too
      system.path?.resume();
      await registry.findNth(2, ({ type }) => type === "connected", "the reconnect");
      await assertEchoes(system.controlPlane.dial);
    });
  }

  it("is not assumed while an idle peer responds, and the round-trip time is known", async () => {
    const registry = new EventLog<RegistryEvent>();
    await using system = await startSystem({
      controlPlane: { ...keepalive, onEvent: registry.push },
      agent: keepalive,
    });
    const rtt = (): number | undefined => system.controlPlane.runners()[0]?.connections[0]?.tunnel.rttMs;
    const seen = new Set<number>();
    while (seen.size < 10) {
      const rttMs = rtt();
      if (rttMs !== undefined) seen.add(rttMs);
      await assertEchoes(system.controlPlane.dial);
    }
    assert.equal(registry.length, 1, "the first connection lives");
  });
});
