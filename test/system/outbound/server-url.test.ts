import assert from "node:assert/strict";
import net from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import { assertEchoes, followAgent } from "../../support/agents.ts";
import { within } from "../../support/events.ts";
import { listen } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startConnectProxy } from "../../support/outbound-proxies.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("an agent's server URL", () => {
  for (const tls of [false, true]) {
    const [http, ws] = tls ? ["https", "wss"] : ["http", "ws"];
    const forms = [
      `${http}://HOST`,
      `${http}://HOST/`,
      `${http}://HOST/revdial`,
      `${http}://HOST/api/v1/revdial`,
      `${http}://HOST/api/v1/revdial/`,
      `${ws}://HOST`,
      `${ws}://HOST/api/v1/revdial`,
      `${http}://HOST/?runnerid=someone-else#part`,
      ...(tls ? [] : ["HOST"]),
    ];
    it(`reaches the agent endpoint from ${forms.join(", ")}`, async () => {
      await using system = await startSystem({ tls, agents: 0 });
      for (const [i, form] of forms.entries()) {
        const server = form.replace("HOST", `localhost:${system.controlPlane.port}`);
        await system.addAgent({ [`runner-${i}`]: { echo: system.target.address } }, { server });
        await assertEchoes(system.controlPlane.dial, `runner-${i}`);
      }
    });
  }

  it("may name an IPv6 address, on plaintext and on TLS", async () => {
    for (const tls of [false, true]) {
      await using system = await startSystem({ tls, agents: 0, controlPlane: { host: "::1" } });
      const server = `${tls ? "https" : "http"}://[::1]:${system.controlPlane.port}`;
      await system.addAgent({ six: { echo: system.target.address } }, { server });
      await assertEchoes(system.controlPlane.dial, "six");
    }
  });

  it("may have a zone, which Host and the certificate's check do not see; so may a target's address", async () => {
    const zone = Object.entries(networkInterfaces()).find(([, of]) =>
      of?.some(({ internal }) => internal),
    )?.[0];
    for (const tls of [false, true]) {
      await using system = await startSystem({ tls, agents: 0, controlPlane: { host: "::1" } });
      await using target = await listen(
        net.createServer((socket) => void socket.pipe(socket)),
        undefined,
        "::1",
      );
      for (const [id, sign] of [
        ["plain", "%"],
        ["encoded", "%25"],
      ] as const) {
        const server = `${tls ? "https" : "http"}://[::1${sign}${zone}]:${system.controlPlane.port}`;
        await system.addAgent({ [id]: { echo: `[::1%${zone}]:${target.port}` } }, { server });
        await assertEchoes(system.controlPlane.dial, id);
      }
    }
  });

  it("is dialled on the interface that its zone names", async () => {
    await using agent = followAgent({ server: "http://[fe80::1%br-no_such]:8080" });
    assert.match(
      (await agent.failed()).error.message,
      /^connect to fe80::1%br-no_such:8080: .*fe80::1%br-no_such/,
    );
  });

  it("may name an IPv4 address on TLS, which SNI cannot carry", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    const server = `https://127.0.0.1:${system.controlPlane.port}`;
    await system.addAgent({ four: { echo: system.target.address } }, { server });
    await assertEchoes(system.controlPlane.dial, "four");
  });
});

describe("SNI", () => {
  afterEach(() => {
    delete process.env["HTTPS_PROXY"];
  });

  for (const [server, serverName, sni] of [
    ["https://cp.example.", undefined, "cp.example"],
    ["https://b\u00fccher.example", undefined, "xn--bcher-kva.example"],
    ["https://192.0.2.1", "cp.example.", "cp.example"],
    ["https://[2001:db8::1]", undefined, false],
  ] as const) {
    it(`of ${server}${serverName === undefined ? "" : ` with the name ${serverName}`} is ${sni}`, async () => {
      const seen = Promise.withResolvers<string | false | null | undefined>();
      const pki = await createPki();
      const secure = tls.createServer(await issueServer(pki), (socket) => {
        seen.resolve(socket.servername);
        socket.destroy();
      });
      await using server443 = await listen(secure);
      await using proxy = await startConnectProxy({ toPort: server443.port }); // the names need no DNS then
      process.env["HTTPS_PROXY"] = `http://127.0.0.1:${proxy.port}`;
      await using agent = followAgent({ server, serverName, insecure: true });
      assert.equal(await within(seen.promise, "a TLS handshake"), sni);
      await agent.failed();
    });
  }
});

describe("an agent's server URL without a port", () => {
  afterEach(() => {
    delete process.env["HTTP_PROXY"];
    delete process.env["HTTPS_PROXY"];
  });

  for (const [scheme, port] of [
    ["http", 80],
    ["ws", 80],
    ["https", 443],
    ["wss", 443],
  ] as const) {
    it(`means port ${port} with ${scheme}://, and an outbound proxy gets the name unresolved`, async () => {
      await using system = await startSystem({ tls: true, agents: 0 });
      await using proxy = await startConnectProxy({ toPort: system.controlPlane.port });
      process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
      process.env["HTTPS_PROXY"] = `http://127.0.0.1:${proxy.port}`;
      await using agent = followAgent({
        server: `${scheme}://cp.test`,
        serverName: "localhost",
        caFile: system.caFile,
        runners: { r: { echo: system.target.address } },
      });
      await agent.connected();
      assert.equal(proxy.connects.all[0]?.authority, `cp.test:${port}`);
      await assertEchoes(system.controlPlane.dial, "r");
    });
  }
});
