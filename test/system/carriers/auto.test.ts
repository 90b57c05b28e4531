import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertEchoes, followAgent, keptLog } from "../../support/agents.ts";
import { startTlsTerminator, startWebSocketOnlyProxy } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { file } from "../../support/agents.ts";

afterEach(() => assertNothingOpen());

function runnersOf(system: System): Record<string, Record<string, string>> {
  return { [RUNNER]: { [TARGET]: system.target.address } };
}

describe("--carrier auto", () => {
  it("takes rh2 on direct TLS", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    await using agent = followAgent({
      server: system.url,
      caFile: system.caFile,
      runners: runnersOf(system),
    });
    const { carrier, why } = await agent.connected();
    assert.deepEqual([carrier, why], ["rh2", "first choice for this URL"]);
    await assertEchoes(system.controlPlane.dial);
  });

  it("takes ptth on plaintext", async () => {
    await using system = await startSystem({ agents: 0 });
    await using agent = followAgent({ server: system.url, runners: runnersOf(system) });
    const { carrier, why } = await agent.connected();
    assert.deepEqual([carrier, why], ["ptth", "first choice for this URL"]);
    await assertEchoes(system.controlPlane.dial);
  });

  it("falls back to websocket behind a proxy that refuses ptth, and logs why", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startWebSocketOnlyProxy(system.controlPlane.port, "refuse");
    const { log, lines } = keptLog();
    await using agent = followAgent({
      server: `http://127.0.0.1:${proxy.port}`,
      runners: runnersOf(system),
      log,
    });
    const { carrier, why } = await agent.connected();
    assert.equal(carrier, "websocket");
    const reason =
      "the preferred carriers failed: ptth: responded with 400 instead of 101: this proxy knows no such upgrade";
    assert.equal(why, reason);
    const line = await lines.find(({ message }) => message === "connected", "the log line");
    assert.deepEqual([line.level, line.fields["carrier"], line.fields["why"]], ["info", "websocket", reason]);
    await assertEchoes(system.controlPlane.dial);
  });

  it("falls back to websocket behind a proxy that drops the unknown upgrade and passes the rest", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startWebSocketOnlyProxy(system.controlPlane.port, "drop");
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}`, runners: runnersOf(system) });
    const { carrier, why } = await agent.connected();
    assert.equal(carrier, "websocket");
    assert.match(why, /ptth: the control plane refused \(426\)/);
    await assertEchoes(system.controlPlane.dial);
  });

  it("does not try other carriers while the one that worked still does", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startWebSocketOnlyProxy(system.controlPlane.port, "refuse");
    await using agent = followAgent({
      server: `http://127.0.0.1:${proxy.port}`,
      runners: runnersOf(system),
    });
    await agent.connected();
    await assertEchoes(system.controlPlane.dial);
    system.controlPlane.runners()[0]?.connections[0]?.destroy("test");
    const again = await agent.events.findNth(2, ({ type }) => type === "connected", "the reconnect");
    assert.deepEqual(again, { type: "connected", slot: 0, carrier: "websocket", why: "it worked before" });
    assert.deepEqual(proxy.upgrades.all, ["ptth", "websocket", "websocket"]);
  });

  it("falls back when a proxy does not respond to the upgrade in time", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startWebSocketOnlyProxy(system.controlPlane.port, "swallow");
    await using agent = followAgent({
      server: `http://127.0.0.1:${proxy.port}`,
      runners: runnersOf(system),
      attemptTimeoutMs: 300,
    });
    const { carrier, why } = await agent.connected();
    assert.equal(carrier, "websocket");
    assert.equal(why, "the preferred carriers failed: ptth: no response to the upgrade in time");
    await assertEchoes(system.controlPlane.dial);
  });

  it("falls back to websocket behind a proxy that closes the upgraded connection, and does not count it as lost", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startWebSocketOnlyProxy(system.controlPlane.port, "close");
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}`, runners: runnersOf(system) });
    const { carrier, why } = await agent.connected();
    assert.equal(carrier, "websocket");
    assert.match(
      why,
      /^the preferred carriers failed: ptth: |^the preferred carriers failed: HTTP\/2 handshake: /,
    );
    await assertEchoes(system.controlPlane.dial);
    assert.deepEqual(
      agent.events.all.map(({ type }) => type),
      ["connected"],
    );
  });

  for (const [what, alpn] of [
    ["without ALPN", undefined],
    ["that speaks only http/1.1", ["http/1.1"]],
    ["that prefers h2", ["h2", "http/1.1"]],
  ] as const) {
    it(`takes ptth behind a TLS terminator ${what}, and reports why not rh2`, async () => {
      await using system = await startSystem({ agents: 0 });
      const pki = await createPki();
      await using proxy = await startTlsTerminator(system.controlPlane.port, await issueServer(pki), alpn);
      await using agent = followAgent({
        server: `https://localhost:${proxy.port}`,
        caFile: file(pki.ca),
        runners: runnersOf(system),
      });
      const { carrier, why } = await agent.connected();
      assert.equal(carrier, "ptth");
      assert.match(
        why,
        alpn === undefined
          ? /^the preferred carriers failed: rh2: the TLS peer did not select a reversed ALPN: TLS is terminated in front/
          : /^the preferred carriers failed: TLS with https:\/\/localhost:\d+\S* .*no application protocol/i,
      );
      await assertEchoes(system.controlPlane.dial);
    });
  }
});
