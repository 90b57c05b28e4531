import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import { listen } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSocksServer } from "../../support/socks-server.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { refusingAddress } from "../../support/target.ts";

afterEach(() => {
  delete process.env["ALL_PROXY"];
  return assertNothingOpen();
});

function runnersOf(system: System): Record<string, Record<string, string>> {
  return { [RUNNER]: { [TARGET]: system.target.address } };
}

describe("an agent behind a SOCKS proxy", () => {
  for (const [scheme, tls, request, carrier] of [
    ["socks5", false, "socks5 cp.example:80 corp:s3cret", "ptth"],
    ["socks5h", true, "socks5 cp.example:443 corp:s3cret", "rh2"],
    ["socks4a", true, "socks4a cp.example:443 corp", "rh2"],
  ] as const) {
    it(`gets out by ${scheme}, which resolves the name, on ${carrier}`, async () => {
      await using system = await startSystem({ tls, agents: 0 });
      await using proxy = await startSocksServer({
        toPort: system.controlPlane.port,
        ...(scheme !== "socks4a" && { login: "corp:s3cret" }),
      });
      process.env["ALL_PROXY"] = `${scheme}://corp:s3cret@127.0.0.1:${proxy.port}`;
      await using agent = followAgent({
        server: `${tls ? "https" : "http"}://cp.example`,
        serverName: "localhost",
        caFile: system.caFile,
        runners: runnersOf(system),
      });
      assert.equal((await agent.connected()).carrier, carrier);
      await assertEchoes(system.controlPlane.dial);
      assert.deepEqual(proxy.requests.all, [request]);
    });
  }

  it("hands socks4 an address, as it takes no names", async () => {
    await using system = await startSystem({ agents: 0 });
    await using proxy = await startSocksServer({ toPort: system.controlPlane.port });
    process.env["ALL_PROXY"] = `socks4://127.0.0.1:${proxy.port}`;
    await using agent = followAgent({ server: "http://0.0.0.0:8080", runners: runnersOf(system) });
    await agent.connected();
    await assertEchoes(system.controlPlane.dial);
    assert.deepEqual(proxy.requests.all, ["socks4 0.0.0.0:8080 "]);
  });

  const reasons: readonly [string, Parameters<typeof startSocksServer>[0], RegExp][] = [
    ["a wrong password", { toPort: 1, login: "corp:right" }, /SOCKS: Socks5 Authentication failed$/],
    ["a refusal by its rules", { toPort: 1, refuseWith: 2 }, /SOCKS: .*NotAllowed$/],
    ["a name that it cannot reach", { toPort: 1, refuseWith: 4 }, /SOCKS: .*HostUnreachable$/],
    ["a reply that is HTTP", { toPort: 1, garbage: Buffer.from("HTTP/1.1 400 Bad\r\n\r\n") }, /SOCKS: \S+/],
    ["a connection closed without a reply", { toPort: 1, garbage: Buffer.alloc(0) }, /SOCKS: Socket closed$/],
  ];
  for (const [what, options, reason] of reasons) {
    it(`reports ${what}, without the password, and tries again`, async () => {
      await using proxy = await startSocksServer(options);
      process.env["ALL_PROXY"] = `socks5://corp:wr0ng@127.0.0.1:${proxy.port}`;
      await using agent = followAgent({ server: "http://cp.example" });
      const { error } = await agent.failed();
      assert.match(error.message, /^outbound proxy 127\.0\.0\.1:\d+: /);
      assert.match(error.message, reason);
      assert.equal((error as { code?: unknown }).code, "server_unreachable");
      assert.ok(!JSON.stringify([error, error.cause, error.message]).includes("wr0ng"));
      await agent.events.findNth(2, ({ type }) => type === "attempt-failed", "the next attempt");
    });
  }

  it("reports one that is not there", async () => {
    process.env["ALL_PROXY"] = `socks5://${await refusingAddress()}`;
    await using agent = followAgent({ server: "http://cp.example" });
    const { error } = await agent.failed();
    assert.match(error.message, /^outbound proxy \S+: connect to \S+: connect ECONNREFUSED/);
  });

  it("reports a name or password that SOCKS has no room for", async () => {
    for (const [login, host] of [
      [`u:${"p".repeat(256)}@`, "cp.example"],
      ["", `${"a.".repeat(130)}example`],
    ] as const) {
      process.env["ALL_PROXY"] = `socks5://${login}127.0.0.1:1`;
      await using agent = followAgent({ server: `http://${host}` });
      assert.match((await agent.failed()).error.message, /at most 255 bytes/);
    }
  });

  it("gives up with the attempt where the proxy never replies", async () => {
    await using silent = await listen(net.createServer());
    process.env["ALL_PROXY"] = `socks5://127.0.0.1:${silent.port}`;
    await using agent = followAgent({ server: "http://cp.example", attemptTimeoutMs: 200 });
    assert.match((await agent.failed()).error.message, /^outbound proxy \S+: timed out$/);
  });

  it("names the variable that cannot be used", async () => {
    process.env["ALL_PROXY"] = "ftp://u:secret@proxy";
    await using agent = followAgent({ server: "http://cp.example" });
    assert.match((await agent.failed()).error.message, /^ALL_PROXY: use http:\/\/, .*socks5h:\/\/$/);
  });
});
