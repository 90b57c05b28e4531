/** Agents that dial a relay in place of the control plane. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { assertEchoes, followAgent, keptLog } from "../../support/agents.ts";
import { eventually, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startTinyproxy } from "../../support/outbound-proxies.ts";
import { missing } from "../../support/parts.ts";
import { startRelayTo } from "../../support/relays.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { refusingAddress } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const INNER_TOKEN = "inner-token";
const RECORD: TokenRecord = {
  id: "inner",
  kind: "runner",
  sha256: hashToken(INNER_TOKEN),
  runners: ["inner-*"],
};

describe("an agent behind a relay", () => {
  for (const tls of [false, true]) {
    for (const way of ["unix", "http"] as const) {
      for (const carrier of ["ptth", "websocket"] as const) {
        it(`is reached by ${carrier} over ${way}, the control plane on ${tls ? "TLS" : "plaintext"}`, async () => {
          await using system = await startSystem({ tls, agents: 0 });
          await using relay = await startRelayTo(system.url, { caFile: system.caFile });
          const server = relay[way];
          await system.addAgent({ inner: { echo: system.target.address } }, { server, carrier });
          await assertEchoes(system.controlPlane.dial, "inner", "echo");
          assert.equal(system.controlPlane.runners()[0]?.connections[0]?.tunnel.kind, carrier);
        });
      }
    }
  }

  it("uses ptth first with auto, and logs why", async () => {
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url);
    await using inner = followAgent({ server: relay.unix, carrier: "auto" });
    const { carrier, why } = await inner.connected();
    assert.deepEqual([carrier, why], ["ptth", "first choice for this URL"]);
  });

  it("keeps its own credential: the relay's is never added", async () => {
    await using system = await startSystem({
      agents: 0,
      controlPlane: { tokens: [RECORD] },
    });
    const { log, lines } = keptLog();
    await using relay = await startRelayTo(system.url, { log, token: { value: ADMIN_TOKEN } });

    await using stranger = followAgent({ server: relay.http, token: { value: "wrong-token" } });
    const { error } = await stranger.failed();
    assert.ok(error instanceof TurnaboutError);
    assert.equal(error.code, "unauthenticated");
    assert.equal(error.message, "ptth: the control plane refused (401): A valid token is required.");

    await using other = followAgent({ server: relay.unix, token: { value: INNER_TOKEN } });
    const refused = await other.failed();
    assert.equal((refused.error as TurnaboutError).code, "not_allowed");

    const token = { value: INNER_TOKEN };
    await system.addAgent({ "inner-1": { echo: system.target.address } }, { server: relay.unix, token });
    await assertEchoes(system.controlPlane.dial, "inner-1", "echo");
    assert.doesNotMatch(JSON.stringify(lines.all), /wrong-token|inner-token|admin-token/);
  });

  it("is not let in without a token where the relay has one", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    const relayed = { caFile: system.caFile, token: { value: ADMIN_TOKEN } };
    await using relay = await startRelayTo(system.url, relayed);
    const { caFile = "" } = system;
    await using bare = followAgent({
      server: relay.http,
      token: undefined,
      certFile: caFile,
      keyFile: caFile,
    });
    const { error } = await bare.failed();
    assert.equal((error as TurnaboutError).code, "unauthenticated");
  });

  it("is refused at once while the control plane is down, and connects when it is back", async () => {
    const address = await refusingAddress();
    await using relay = await startRelayTo(`http://${address}`);
    await using inner = followAgent({ server: relay.unix });
    const { error } = await inner.failed();
    assert.equal((error as TurnaboutError).code, "server_unreachable");
    assert.match(error.message, /^ptth: the relay refused \(502\): The control plane cannot be reached/);
    const port = Number(address.split(":").at(-1));
    await using system = await startSystem({ agents: 0, controlPlane: { port } });
    await inner.connected();
    await eventually(() => system.controlPlane.runners().length === 1, "the inner runner");
  });

  it("is reached through a chain of two relays", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    await using outer = await startRelayTo(system.url, { caFile: system.caFile });
    await using middle = await startRelayTo(outer.http);
    await system.addAgent({ inner: { echo: system.target.address } }, { server: middle.unix });
    await assertEchoes(system.controlPlane.dial, "inner", "echo");
  });

  it("is refused by relays that form a loop", async () => {
    const port = Number((await refusingAddress()).split(":").at(-1));
    await using first = await startRelayTo(`http://127.0.0.1:${port}`);
    await using second = await startRelayTo(first.unix, { port });
    await using inner = followAgent({ server: second.unix });
    const { error, retryInMs } = await inner.failed();
    assert.equal((error as TurnaboutError).code, "relay_loop");
    assert.ok(retryInMs <= 5_000);
  });

  it("is reached through an outbound proxy of the relay's", { skip: missing("tinyproxy") }, async () => {
    await using proxy = await startTinyproxy("user:pass");
    await using system = await startSystem({ tls: true, agents: 0 });
    // No proxy is used for a loopback address; this is not one, and reaches the same listener.
    const server = `https://0.0.0.0:${system.controlPlane.port}`;
    await using relay = await startRelayTo(server, { caFile: system.caFile, serverName: "localhost" });
    process.env["HTTPS_PROXY"] = `http://user:pass@127.0.0.1:${proxy.port}`;
    process.env["HTTP_PROXY"] = process.env["HTTPS_PROXY"]; // not for the Unix socket
    try {
      await system.addAgent({ inner: { echo: system.target.address } }, { server: relay.unix });
      await assertEchoes(system.controlPlane.dial, "inner", "echo");
      assert.equal(proxy.connects.all.length, 1);
    } finally {
      delete process.env["HTTPS_PROXY"];
      delete process.env["HTTP_PROXY"];
    }
  });

  it("replaces an older one of its credential, which stands by, though both come from the relay", async () => {
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url);
    await using old = followAgent({ server: relay.http, standbyDelayMs: 50 });
    await old.connected();
    await using young = followAgent({
      server: relay.http,
      runners: { "runner-1": { echo: system.target.address } },
    });
    await young.connected();
    await old.events.find(({ type }) => type === "replaced", "the replacement of the older");
    await eventually(
      () => system.controlPlane.runners()[0]?.fallbackConnections.length === 1,
      "the older's place behind",
    );
    await assertEchoes(system.controlPlane.dial);
  });

  it("loses its connection at both ends when the relay ends", async () => {
    await using system = await startSystem({ agents: 0 });
    const relay = await startRelayTo(system.url, { drainMs: 0 });
    await using inner = followAgent({ server: relay.unix });
    await inner.connected();
    await eventually(() => system.controlPlane.runners()[0]?.state === "connected", "registration");
    await relay.agent.close();
    await inner.lost();
    await eventually(() => system.controlPlane.runners()[0]?.state === "reconnecting", "the loss");
    await using again = await startRelayTo(system.url, { socketPath: relay.socketPath });
    await eventually(() => system.controlPlane.runners()[0]?.state === "connected", "the return");
    assert.equal(again.unix, relay.unix);
  });

  it("loses a relay's connections that are quiet first, and busy ones when the drain is over", async () => {
    await using system = await startSystem({ agents: 0 });
    const relay = await startRelayTo(system.url, { drainMs: 30_000 });
    await using quiet = followAgent({ server: relay.unix, runners: { quiet: { echo: "127.0.0.1:1" } } });
    await using busy = followAgent({
      server: relay.unix,
      runners: { busy: { echo: system.target.address } },
    });
    await Promise.all([quiet.connected(), busy.connected()]);
    const socket = await system.controlPlane.dial("busy", "echo", { waitMs: 5_000 });
    const chatter = setInterval(() => socket.write(Buffer.alloc(4_096)), 50);
    socket.resume();
    const closed = relay.agent.close();
    await quiet.lost();
    await next(socket, "data");
    assert.ok(!busy.events.all.some(({ type }) => type === "lost"), "the busy one goes on");
    clearInterval(chatter);
    socket.end();
    await busy.lost();
    await closed;
  });
});
