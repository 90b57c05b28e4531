import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import { assertEchoes, file, followAgent, keptLog } from "../../support/agents.ts";
import { Command } from "../../support/commands.ts";
import { listen, startStranger } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusingAddress } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

describe("an agent with a wrong server URL", () => {
  it("reports the status and the first bytes of a page that is not the agent endpoint", async () => {
    const page = `<html>\n  <title>Vite</title>\n${"padding ".repeat(100)}`;
    await using stranger = await startStranger(404, page, { "content-type": "text/html" });
    await using agent = followAgent({ server: `http://127.0.0.1:${stranger.port}` });
    const { error } = await agent.failed();
    assert.match(
      error.message,
      /^ptth: responded with 404 instead of 101: <html> <title>Vite<\/title> padding/,
    );
    assert.match(error.message, /; websocket: responded with 404 instead of 101: <html>/);
    assert.ok(error.message.length < 700, "an excerpt, not the page");
  });

  it("reports a redirect, with its location, and does not follow it", async () => {
    await using stranger = await startStranger(301, "", { location: "https://cp.example/api/v1/revdial" });
    await using agent = followAgent({ server: `http://127.0.0.1:${stranger.port}` });
    const { error } = await agent.failed();
    assert.match(error.message, /^ptth: responded with 301 instead of 101.*https:\/\/cp\.example/);
  });

  it("reports a control plane's 404 for a wrong base path", async () => {
    await using system = await startSystem({ agents: 0 });
    await using agent = followAgent({ server: `${system.url}/no/such/base` });
    assert.match((await agent.failed()).error.message, /refused \(404\): No resource exists at this path/);
  });

  it("reports a server that does not speak HTTP", async () => {
    const { createServer } = await import("node:net");
    await using proxy = await listen(createServer((socket) => void socket.end("220 mail.example ESMTP\r\n")));
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}` });
    assert.match((await agent.failed()).error.message, /^ptth: Parse Error/);
  });

  it("reports a port at which nothing listens, once and not for every carrier", async () => {
    const address = await refusingAddress();
    await using agent = followAgent({ server: `http://${address}` });
    const { error } = await agent.failed();
    assert.equal(error.message, `connect to ${address}: connect ECONNREFUSED ${address}`);
  });
});

const pki = await createPki();
const stranger = await createPki("Somebody else's CA");

describe("an agent and the control plane's certificate", () => {
  const day = 86_400_000;
  const cases = [
    {
      what: "of an authority that it does not trust",
      issue: () => issueServer(stranger),
      says: /unable to verify the first certificate.*\(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)/,
    },
    {
      what: "for another name",
      issue: () => pki.issue({ commonName: "other", dns: ["other.example"] }),
      says: /does not match certificate's altnames.*ERR_TLS_CERT_ALTNAME_INVALID/,
    },
    {
      what: "that has expired",
      issue: () =>
        pki.issue({
          commonName: "localhost",
          dns: ["localhost"],
          notBefore: new Date(Date.now() - 3 * day),
          notAfter: new Date(Date.now() - 2 * day),
        }),
      says: /certificate has expired/,
    },
  ];
  for (const { what, issue, says } of cases) {
    it(`refuses one ${what}, with the reason`, async () => {
      let sent = "";
      const server = tls.createServer(await issue(), (socket) => {
        socket.on("data", (chunk: Buffer) => (sent += chunk.toString("latin1")));
      });
      server.on("tlsClientError", () => {});
      await using proxy = await listen(server);
      await using agent = followAgent({ server: `https://localhost:${proxy.port}`, caFile: file(pki.ca) });
      assert.match((await agent.failed()).error.message, says);
      assert.equal(sent, "", "nothing, and above all no token, goes to a server that is not trusted");
    });

    it(`accepts one ${what} with --insecure, and logs a warning`, async () => {
      await using system = await startSystem({ agents: 0, controlPlane: { tls: await issue() } });
      await using command = new Command(
        "turnabout",
        ["agent", "--server", `https://localhost:${system.controlPlane.port}`, "--insecure"].concat([
          "--runner",
          RUNNER,
          "--target",
          `${TARGET}=${system.target.address}`,
        ]),
        { env: { TURNABOUT_TOKEN: "test-admin-token" } },
      );
      const line = await command.logged("certificate is NOT checked");
      assert.equal(line.level, 40, "a warning");
      await command.logged("connected");
      await assertEchoes(system.controlPlane.dial);
    });
  }

  it("accepts a certificate for another name that --server-name names", async () => {
    const certificate = await pki.issue({ commonName: "other", dns: ["other.example"] });
    await using system = await startSystem({ agents: 0, controlPlane: { tls: certificate } });
    await using agent = followAgent({
      server: `https://localhost:${system.controlPlane.port}`,
      caFile: file(pki.ca),
      serverName: "other.example",
      runners: { [RUNNER]: { [TARGET]: system.target.address } },
    });
    assert.equal((await agent.connected()).carrier, "rh2");
    await assertEchoes(system.controlPlane.dial);
  });

  it("logs a repeated failure as a warning once, and keeps trying", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    const { log, lines } = keptLog();
    await using agent = followAgent({ server: system.url, log });
    await agent.events.findNth(3, ({ type }) => type === "attempt-failed", "the third attempt");
    const complaints = lines.all.filter(({ message }) => message.startsWith("connect failed"));
    assert.deepEqual(
      complaints.slice(0, 3).map(({ level }) => level),
      ["warn", "debug", "debug"],
    );
  });
});
