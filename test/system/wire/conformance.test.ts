/** h2spec at every end that has the HTTP server role; docs/conformance.md explains each test that fails, and no other may. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import type { Http2Session } from "node:http2";
import { describe, it } from "node:test";
import { createAgentMetrics } from "../../../src/agent/metrics.ts";
import { TargetTable } from "../../../src/agent/targets/target-table.ts";
import { serveStreams } from "../../../src/agent/streams/dispatch.ts";
import { silentLogger } from "../../../src/wire/log.ts";
import { AGENT_AUTHORITY, AGENT_PATHS } from "../../../src/wire/protocol.ts";
import { serveReversed } from "../../../src/wire/session/reversed-session.ts";
import { TokenBucket } from "../../../src/wire/token-bucket.ts";
import { readDocument, tableRows } from "../../docs/markdown.ts";
import { runH2spec } from "../../support/h2spec.ts";
import { missing } from "../../support/parts.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { createHello } from "../../support/scripted-agent.ts";
import { startControlPlane } from "../../support/system.ts";

/** Tests of h2spec 2.2.1; the document's table says which of them fail where. */
const TESTS = 145;
const ENDS = ["plaintext port", "TLS port", "agent's end"] as const;

const rows = tableRows(readDocument("docs/conformance.md")).filter(([id = ""]) => id.includes("/"));

/** The tests that fail at one end, by the document: always, or depending on which of two frames is first. */
function documented(
  end: (typeof ENDS)[number],
  result: "fails" | "passes or fails" = "fails",
): Map<string, string> {
  const column = 2 + ENDS.indexOf(end);
  const failing = rows.filter((row) => row[column] === result);
  return new Map(failing.map(([id = "", title = ""]) => [id.replaceAll("`", ""), title]));
}

async function check(end: (typeof ENDS)[number], port: number, path: string): Promise<void> {
  const expected = documented(end);
  const varying = documented(end, "passes or fails");
  const known = new Set([...expected.keys(), ...varying.keys()]);
  const report = await runH2spec({ port, tls: end === "TLS port", path }, known);
  for (const id of varying.keys()) report.failed.delete(id);
  const list = (map: Map<string, string>) => [...map].map(([id, title]) => `${id} ${title}`).toSorted();
  assert.deepEqual(list(report.failed), list(expected), `${end}: docs/conformance.md lists what fails`);
  assert.ok(report.passed >= TESTS - known.size - 1, `${end}: ${report.passed} have passed`); // one may be skipped
}

describe("h2spec", { skip: missing("h2spec"), concurrency: true }, () => {
  it("fails at the plaintext port only in what docs/conformance.md explains", async () => {
    await using controlPlane = await startControlPlane();
    await check("plaintext port", controlPlane.port, "/healthz");
  });

  it("fails at the TLS port only in what docs/conformance.md explains", async () => {
    await using controlPlane = await startControlPlane({ tls: await issueServer(await createPki()) });
    await check("TLS port", controlPlane.port, "/healthz");
  });

  it("fails at the agent's end only in what docs/conformance.md explains", async () => {
    await using end = await listenAsAgent();
    await check("agent's end", end.port, AGENT_PATHS.ping);
  });
});

/**
 * The agent's end of a tunnel connection, on connections that it accepts in place of those that it dials: h2spec is the
 * control plane. Its requests name the address that they go to; here they name the agent, so that it responds to them.
 */
async function listenAsAgent(): Promise<AsyncDisposable & { port: number }> {
  const metrics = createAgentMetrics();
  const context = {
    hello: createHello,
    metrics,
    log: silentLogger,
    changes: () => [],
    subscribe: () => () => {},
    credential: undefined,
    diagnose: async () => ({}),
    onNotices: () => {},
    notices: new TokenBucket({ burst: 10, perS: 1 }),
    closing: new AbortController().signal,
    onHello: () => {},
    onReconnectSpread: () => {},
    targets: new TargetTable(metrics, () => {}),
  };
  const sessions = new Set<Http2Session>();
  const server = net.createServer((socket) => {
    serveReversed(socket, (session) => {
      sessions.add(session);
      session.once("close", () => sessions.delete(session));
      session.on("stream", (_stream, headers) => {
        headers[":authority"] = AGENT_AUTHORITY;
      });
      serveStreams(session, context);
    }).catch(() => {}); // a preface that is none
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
