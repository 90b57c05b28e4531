/**
 * Trap: an Http2Session that starts on a TLSSocket with an unfinished write aborts the process; on TCP a 101 that is
 * still corked is overtaken by the HTTP/2 preface, which goes past the JS buffer.
 * Guards: `takeTurn()` in src/control/listener/response-order.ts lets every earlier response of the connection finish;
 * `acceptPtth()` in src/control/admission/agent-endpoint.ts attaches in the write callback; `writesDone()` in
 * src/agent/carriers/auto.ts waits for the request to have left.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { TokenStore } from "../../src/control/auth/tokens.ts";
import { ClientCertificates } from "../../src/control/auth/client-certificates.ts";
import { CertificateExpiry } from "../../src/control/admission/certificate-expiry.ts";
import type { AgentConnection } from "../../src/control/registry/agent-connection.ts";
import { RateLimitedLog } from "../../src/control/listener/rate-limited-log.ts";
import { InFlight } from "../../src/control/in-flight/in-flight.ts";
import { AgentBudgets } from "../../src/control/admission/agent-budgets.ts";
import { AgentEndpoint } from "../../src/control/admission/agent-endpoint.ts";
import { TrustedProxies } from "../../src/control/trusted-proxies/trusted-proxies.ts";
import { ReconnectSpread } from "../../src/control/admission/reconnect-spread.ts";
import { Registry } from "../../src/control/registry/registry.ts";
import { TunnelFigures } from "../../src/control/registry/tunnel-figures.ts";
import { createFairShares } from "../../src/control/shares/fair-shares.ts";
import { silentLogger } from "../../src/wire/log.ts";
import { runChild } from "../support/child.ts";
import { next, turn } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../support/system.ts";

after(() => assertNothingOpen());

const CHILD = new URL("./session-start-waits-for-writes.child.ts", import.meta.url);

describe("an HTTP/2 session on a carrier that has just been written to", () => {
  it("does not abort the control plane, whose 101 precedes it on TLS", async () => {
    const { code, signal, stdout } = await runChild(CHILD, ["control"]);
    assert.deepEqual([code, signal, stdout], [0, null, "connections up\n"]);
  });

  it("does not abort the agent, whose peer responds before it has read the request on TLS", async () => {
    const { code, signal, stdout } = await runChild(CHILD, ["agent"]);
    assert.deepEqual([code, signal, stdout], [0, null, "agent waited\n"]);
  });

  for (const upgrade of ["ptth", "websocket"]) {
    it(`does not abort the control plane where responses before its ${upgrade} upgrade have not left`, async () => {
      const { code, signal, stdout } = await runChild(CHILD, ["pipelined", upgrade]);
      const responses = [...Array<string>(4).fill("HTTP/1.1 200"), "HTTP/1.1 101", "PRI * HTTP/2.0"];
      assert.deepEqual([code, signal, stdout], [0, null, `${responses.join(", ")}\n`]);
    });
  }

  it("does not let the preface overtake a 101 that is still corked on TCP", async () => {
    const openConnections = new Set<AgentConnection>();
    const certificates = new ClientCertificates();
    const reconnectSpread = new ReconnectSpread(openConnections, silentLogger);
    const endpoint = new AgentEndpoint({
      inFlight: new InFlight(),
      registry: new Registry(),
      tokens: new TokenStore(ADMIN_TOKEN),
      log: silentLogger,
      keepalive: {},
      openConnections,
      tunnelFigures: new TunnelFigures(openConnections),
      certificates,
      refusalLog: new RateLimitedLog(silentLogger),
      reconnectSpread,
      agentBudgets: new AgentBudgets(silentLogger),
      certificateExpiry: new CertificateExpiry(openConnections, certificates, silentLogger),
      draining: () => false,
      shares: createFairShares({}, { onRefused: () => {}, onStop: () => {} }),
      trustedProxies: new TrustedProxies({}),
    });
    const server = http.createServer();
    server.on("upgrade", (request, socket, head) => {
      socket.cork();
      endpoint.handle(request, socket, head);
      void turn(3).then(() => socket.uncork());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
    client.write(
      `GET /api/v1/revdial?runnerid=r HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n` +
        `ALPN: h2\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
    );
    const [first] = await next<[Buffer]>(client, "data");
    assert.match(first.toString("latin1"), /^HTTP\/1\.1 101 /);
    client.destroy();
    server.close();
  });
});
