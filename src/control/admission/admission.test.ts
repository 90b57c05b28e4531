import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { it } from "node:test";
import { silentLogger } from "../../wire/log.ts";
import { ClientCertificates } from "../auth/client-certificates.ts";
import { TokenStore } from "../auth/tokens.ts";
import { RateLimitedLog } from "../listener/rate-limited-log.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { Registry } from "../registry/registry.ts";
import { TunnelFigures } from "../registry/tunnel-figures.ts";
import { ExchangeTurns } from "../shares/exchange-turns.ts";
import { admit } from "./admission.ts";
import { AgentBudgets } from "./agent-budgets.ts";
import { CertificateExpiry } from "./certificate-expiry.ts";
import { ReconnectSpread } from "./reconnect-spread.ts";

it("an agent whose carrier fails while it waits for its turn is refused, and fails nothing else", async (t) => {
  const tokens = new TokenStore("admin-token");
  const identity = tokens.find("admin-token") ?? assert.fail("no identity");
  const openConnections = new Set<AgentConnection>();
  const certificates = new ClientCertificates();
  const agentBudgets = new AgentBudgets(silentLogger);
  const turns = new ExchangeTurns();
  const { promise, resolve } = Promise.withResolvers<void>();
  t.mock.method(turns, "turn", () => promise);
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const admitted = admit(
    { kind: "h2", stream, remoteAddress: "127.0.0.1" },
    { identity, standby: false, runner: "r" },
    {
      registry: new Registry(),
      tokens,
      log: silentLogger,
      keepalive: {},
      certificates,
      refusalLog: new RateLimitedLog(silentLogger),
      certificateExpiry: new CertificateExpiry(openConnections, certificates, silentLogger),
      reconnectSpread: new ReconnectSpread(openConnections, silentLogger),
      agentBudgets,
      openConnections,
      tunnelFigures: new TunnelFigures(openConnections),
      shares: { turns },
    },
  );
  stream.destroy(new Error("reset"));
  await new Promise((done) => void stream.once("close", done));
  resolve();
  await admitted;
  assert.equal(openConnections.size, 0);
});
