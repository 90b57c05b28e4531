import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import type { TLSSocket } from "node:tls";
import { assertEchoes, file, followAgent } from "../../support/agents.ts";
import { startAgent } from "../../support/commands.ts";
import type { Command } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { within } from "../../support/events.ts";
import { listen } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startConnectProxy, startHttp2ConnectProxy, startTinyproxy } from "../../support/outbound-proxies.ts";
import { missing } from "../../support/parts.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => {
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]) delete process.env[name];
  return assertNothingOpen();
});

/** No proxy is used for a loopback address. This address is not one, and reaches the same listener. */
function urlOf(system: System): string {
  return `${system.pki === undefined ? "http" : "https"}://0.0.0.0:${system.controlPlane.port}`;
}

function start(system: System, env: Record<string, string>): Command {
  const tls = system.caFile === undefined ? [] : ["--ca", system.caFile, "--server-name", "localhost"];
  return startAgent(urlOf(system), RUNNER, `${TARGET}=${system.target.address}`, tls, env);
}

describe("an agent behind tinyproxy", { skip: missing("tinyproxy") }, () => {
  for (const [tls, variable, carrier] of [
    [false, "HTTP_PROXY", "ptth"],
    [true, "HTTPS_PROXY", "rh2"],
  ] as const) {
    it(`gets out by ${variable} with a user and a password, on ${carrier}`, async () => {
      await using system = await startSystem({ tls, agents: 0 });
      await using proxy = await startTinyproxy("corp:s3cret");
      await using agent = start(system, { [variable]: `http://corp:s3cret@127.0.0.1:${proxy.port}` });
      assert.equal((await agent.logged("connected"))["carrier"], carrier);
      await assertEchoes(system.controlPlane.dial);
      const { host } = new URL(urlOf(system));
      await proxy.connects.find(({ authority }) => authority === host, "CONNECT in tinyproxy's log");
      assert.ok(!agent.stderr.includes("s3cret"), "the proxy's password is in no log line");
    });
  }

  it("reports a missing password as 407, and retries", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startTinyproxy("corp:s3cret");
    await using agent = start(system, { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` });
    const { reason } = await agent.logged("connect failed");
    assert.match(String(reason), /^outbound proxy 127\.0\.0\.1:\d+: CONNECT \S+ responded with 407$/);
    await proxy.connects.findNth(2, () => true, "a second attempt");
    assert.ok(agent.running);
  });

  it("is not used for hosts in NO_PROXY", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startTinyproxy();
    await using agent = start(system, {
      HTTP_PROXY: `http://127.0.0.1:${proxy.port}`,
      NO_PROXY: "internal.example,0.0.0.0/8",
    });
    await agent.logged("connected");
    await assertEchoes(system.controlPlane.dial);
    assert.deepEqual(proxy.connects.all, []);
  });
});

const pki = await createPki("proxies");

describe("an agent behind an https proxy", () => {
  it("speaks HTTP/1.1 to one that speaks no HTTP/2", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startConnectProxy({ credential: await issueServer(pki), login: "corp:s3cret" });
    process.env["HTTP_PROXY"] = `https://corp:s3cret@localhost:${proxy.port}`;
    await using agent = followAgent({
      server: urlOf(system),
      caFile: file(pki.ca),
      runners: runnersOf(system),
    });
    assert.equal((await agent.connected()).carrier, "ptth");
    await assertEchoes(system.controlPlane.dial);
    assert.equal(proxy.connects.length, 1);
  });

  it("speaks HTTP/2 to one that selects it", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startHttp2ConnectProxy(await issueServer(pki), { login: "corp:s3cret" });
    process.env["HTTP_PROXY"] = `https://corp:s3cret@localhost:${proxy.port}`;
    await using agent = followAgent({
      server: urlOf(system),
      caFile: file(pki.ca),
      runners: runnersOf(system),
    });
    assert.equal((await agent.connected()).carrier, "ptth");
    await assertEchoes(system.controlPlane.dial);
    assert.equal(proxy.connects.length, 1);
  });

  it("gives up one that selects HTTP/2 and sends nothing", async () => {
    const credential = await issueServer(pki);
    const connections = new EventLog<TLSSocket>();
    const server = tls.createServer({ ...credential, ALPNProtocols: ["h2"] });
    await using proxy = await listen(server);
    server.on("secureConnection", (socket: TLSSocket) => {
      socket.on("error", () => {}); // permanently
      // The first bytes are the preface: not a connection that only finds out which protocol is selected.
      socket.once("data", () => connections.push(socket));
    });
    process.env["HTTP_PROXY"] = `https://localhost:${proxy.port}`;
    const agent = followAgent({ server: "http://control.example:8080", caFile: file(pki.ca) });
    const socket = await connections.findNth(1, () => true, "a connection to the proxy");
    const closed = once(socket, "close");
    await within(Promise.resolve(agent[Symbol.asyncDispose]()), "the agent's end");
    await within(closed, "the end of its connection to the proxy");
  });

  it("carries rh2, TLS inside HTTP/2 inside TLS", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    await using proxy = await startHttp2ConnectProxy(await issueServer(pki));
    process.env["HTTPS_PROXY"] = `https://localhost:${proxy.port}`;
    const caFile = file(`${pki.ca}${system.pki?.ca}`);
    await using agent = followAgent({
      server: urlOf(system),
      serverName: "localhost",
      caFile,
      runners: runnersOf(system),
    });
    assert.equal((await agent.connected()).carrier, "rh2");
    await assertEchoes(system.controlPlane.dial);
  });

  for (const [version, startProxy] of [
    ["HTTP/1.1", async (login: string) => startConnectProxy({ credential: await issueServer(pki), login })],
    ["HTTP/2", async (login: string) => startHttp2ConnectProxy(await issueServer(pki), { login })],
  ] as const) {
    it(`reports a wrong password over ${version} as 407, without showing it`, async () => {
      await using system = await startSystem({ agents: 0 });
      await using proxy = await startProxy("corp:right");
      process.env["HTTP_PROXY"] = `https://corp:wr0ng@localhost:${proxy.port}`;
      await using agent = followAgent({ server: urlOf(system), caFile: file(pki.ca) });
      const { error } = await agent.failed();
      assert.match(error.message, /^outbound proxy localhost:\d+: CONNECT \S+ responded with 407/);
      assert.ok(!error.message.includes("wr0ng"));
      await agent.events.findNth(2, ({ type }) => type === "attempt-failed", "the next attempt");
    });

    it(`checks the certificate of the proxy that speaks ${version}`, async () => {
      await using system = await startSystem({ agents: 0 });
      await using proxy = await startProxy("corp:right");
      process.env["HTTP_PROXY"] = `https://corp:right@localhost:${proxy.port}`;
      await using agent = followAgent({ server: urlOf(system) });
      assert.match((await agent.failed()).error.message, /^outbound proxy localhost:\d+: .*certificate/);
      assert.deepEqual(proxy.connects.all, []);
    });
  }
});

describe("an agent's connection through a proxy", () => {
  it("outlives the time limit of the attempt that made it", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startConnectProxy();
    process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
    const attemptTimeoutMs = 400;
    await using agent = followAgent({ server: urlOf(system), attemptTimeoutMs, runners: runnersOf(system) });
    await agent.connected();
    const socket = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
    // Bytes to and fro for longer than the limit.
    const until = performance.now() + 2 * attemptTimeoutMs;
    while (performance.now() < until) {
      socket.write("ping");
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        assert.equal(String(chunk), "ping");
        break;
      }
    }
    socket.destroy();
    assert.equal(agent.events.length, 1, "still the first connection");
  });
});

function runnersOf(system: System): Record<string, Record<string, string>> {
  return { [RUNNER]: { [TARGET]: system.target.address } };
}
