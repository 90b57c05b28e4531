/** When agents reconnect: at once after a GOAWAY, soon while a control plane restarts, and with the spread that it asks for. */
import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import { ANNOUNCED_RETRY_MAX_MS } from "../../../src/agent/limits.ts";
import type { AgentConnection } from "../../../src/control/registry/agent-connection.ts";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import { SPREAD_NOTICES_AT_ONCE, SPREAD_NOTICE_INTERVAL_MS } from "../../../src/control/limits.ts";
import { ReconnectSpread } from "../../../src/control/admission/reconnect-spread.ts";
import { silentLogger } from "../../../src/wire/log.ts";
import { followAgent } from "../../support/agents.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

/** By its own backoff such an agent would be away for half a minute on average. */
const SLOW = { backoffBaseMs: 60_000, backoffCapMs: 60_000 };

for (const carrier of ["ptth", "websocket", "rh2"] as const) {
  describe(`an agent on ${carrier}`, () => {
    it("dials at once after a GOAWAY, and retries soon while nothing listens", async () => {
      await using system = await startSystem({ tls: carrier === "rh2", agents: 0 });
      await using agent = followAgent({ server: system.url, caFile: system.caFile, carrier, ...SLOW });
      await agent.connected();
      await eventually(() => system.controlPlane.runners()[0]?.state === "connected", "the registration");
      await system.controlPlane.close();
      const failures = () => agent.events.all.filter(({ type }) => type === "attempt-failed");
      await eventually(() => failures().length >= 2, "attempts in between", 10_000);
      for (const event of failures()) {
        assert.ok(event.type === "attempt-failed" && event.retryInMs <= ANNOUNCED_RETRY_MAX_MS);
      }
    });
  });
}

describe("an agent whose control plane is killed", () => {
  it("is back as soon as the next one listens", async () => {
    await using system = await startSystem({ agents: 0 });
    await using agent = followAgent({
      server: system.url,
      runners: { [RUNNER]: { [TARGET]: system.target.address } },
      backoffBaseMs: 100,
      backoffCapMs: 60_000,
    });
    await agent.connected();
    const { port } = system.controlPlane;
    await system.controlPlane.close();
    const failed = () => agent.events.all.filter(({ type }) => type === "attempt-failed").length;
    await eventually(() => failed() >= 4, "attempts in between", 10_000);
    await using next = await createControlPlane({ port, host: "127.0.0.1", adminToken: ADMIN_TOKEN });
    await eventually(() => next.runners()[0]?.state === "connected", "its return", 10_000);
  });
});

describe("a control plane that has many agents", () => {
  it("asks them to spread their reconnects, and updates them when they have become many more", () => {
    mock.timers.enable({ apis: ["setInterval"] });
    try {
      const openConnections = new Set<AgentConnection>();
      const spread = new ReconnectSpread(openConnections, silentLogger);
      const agents = Array.from({ length: 3 * SPREAD_NOTICES_AT_ONCE }, () => {
        const connection = { reconnectSpreadMs: spread.ms, usable: false };
        openConnections.add(connection as unknown as AgentConnection);
        return connection;
      });
      const right = () => agents.filter(({ reconnectSpreadMs }) => reconnectSpreadMs === spread.ms).length;
      assert.ok(spread.ms > 0);
      const before = right();
      mock.timers.tick(SPREAD_NOTICE_INTERVAL_MS);
      assert.equal(right(), before, "not while more and more come");
      mock.timers.tick(SPREAD_NOTICE_INTERVAL_MS);
      assert.equal(right(), before + SPREAD_NOTICES_AT_ONCE, "not all at once");
      mock.timers.tick(SPREAD_NOTICE_INTERVAL_MS);
      mock.timers.tick(SPREAD_NOTICE_INTERVAL_MS);
      assert.ok(agents.every(({ reconnectSpreadMs }) => reconnectSpreadMs * 2 > spread.ms));
      spread.close();
    } finally {
      mock.timers.reset();
    }
  });
});
