/** A request at a node that does not have the runner: every way to a target, through the node that has its agent. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import http from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { after, before, describe, it } from "node:test";
import tls from "node:tls";
import { WebSocketServer } from "ws";
import { createAgent } from "../../../src/agent/agent.ts";
import type { Agent } from "../../../src/agent/agent.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { HEADER } from "../../../src/wire/protocol.ts";
import { CALLERS, errorCode, openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, within } from "../../support/events.ts";
import { startNodes, untilUsable } from "../../support/nodes.ts";
import type { Nodes, TestNode } from "../../support/nodes.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER } from "../../support/system.ts";
import { startEchoTarget, startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";
import { openWebSocket, refusedWebSocket } from "../../support/websockets.ts";

const CALLER_TOKEN = "token-of-a-caller";
const TOKENS: TokenRecord[] = [
  { id: "alice", kind: "user", sha256: hashToken(CALLER_TOKEN), runners: ["*"] },
];
const ALICE = { authorization: `Bearer ${CALLER_TOKEN}` };

interface Stand {
  nodes: Nodes;
  /** Where callers come, and where the agent is. */
  first: TestNode;
  second: TestNode;
  web: TestTarget;
  echo: TestTarget;
  /** Fields of requests, as the target gets them. */
  received: EventLog<IncomingHttpHeaders>;
  agent: Agent;
  caFile: string;
  close(): Promise<void>;
}

async function startStand(count = 2): Promise<Stand> {
  const nodes = await startNodes(count, { tokens: TOKENS, graceMs: 5_000 });
  const caFile = tempPath(".pem");
  writeFileSync(caFile, nodes.pki.ca);
  const received = new EventLog<IncomingHttpHeaders>();
  const web = await startHttpTarget((request, response) => {
    received.push(request.headers);
    if (request.url === "/slow") return;
    response.setHeader("x-target", "yes");
    if (request.method === "POST") return void request.pipe(response);
    response.end(`reached ${request.url}`);
  });
  const sockets = new WebSocketServer({ noServer: true });
  web.http.on("upgrade", (request: http.IncomingMessage, socket, head: Buffer) => {
    received.push(request.headers);
    if (request.url === "/refused")
      return void socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    sockets.handleUpgrade(request, socket, head, (opened) => {
      opened.on("error", () => {});
      opened.on("message", (data, isBinary) => opened.send(data as Buffer, { binary: isBinary }));
    });
  });
  const echo = await startEchoTarget();
  const first = nodes.at(1);
  const second = nodes.at(2);
  const agent = agentAt(second, caFile, { web: web.address, echo: echo.address });
  await within(agent.connected(), "the agent");
  await untilUsable(first, RUNNER);
  return {
    nodes,
    first,
    second,
    web,
    echo,
    received,
    agent,
    caFile,
    close: async () => {
      await agent.close();
      await nodes[Symbol.asyncDispose]();
      sockets.close();
      await Promise.all([web.close(), echo.close()]);
    },
  };
}

function agentAt({ url }: TestNode, caFile: string, targets: Record<string, string>): Agent {
  return createAgent({
    server: url,
    caFile,
    token: { value: ADMIN_TOKEN },
    runners: { [RUNNER]: targets },
    connections: 1,
    backoffBaseMs: 20,
    backoffCapMs: 200,
    drainMs: 500,
  });
}

/** `CONNECT` on HTTP/1.1, with what the response is. */
async function connectLine(node: TestNode, authority: string, token = CALLER_TOKEN): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: "localhost", port: node.controlPlane.port, ca: node.pki.ca });
  socket.on("error", () => {}); // permanent
  socket.write(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Bearer ${token}\r\n` +
      `${HEADER.peer}: 1.2.e30.${"A".repeat(43)}\r\n\r\n`,
  );
  const [head] = await within(
    new Promise<[Buffer]>((resolve) => socket.once("data", (chunk: Buffer) => resolve([chunk]))),
    "a response",
  );
  assert.match(head.toString("latin1"), /^HTTP\/1\.1 200 /);
  return socket;
}

describe("at a node that does not have the runner", () => {
  let stand: Stand;

  before(async () => {
    stand = await startStand();
  });

  after(async () => {
    await stand.close();
    await assertNothingOpen();
  });

  for (const kind of CALLERS.filter((name) => name.endsWith("TLS"))) {
    it(`a request over ${kind} reaches the target, with its body, and none of the fields between nodes`, async () => {
      await using caller = await openCaller(kind, stand.first);
      const headers = { ...ALICE, [HEADER.peer]: "1.2.e30.AAAA" };
      const got = await caller.call({ path: via("/a?b=c", "web"), headers });
      assert.equal(`${got.status} ${got.text}`, "200 reached /a?b=c");
      assert.equal(got.headers[HEADER.peer], undefined);
      const body = "x".repeat(300_000);
      const posted = await caller.call({ path: via("/", "web"), headers, method: "POST", body });
      assert.equal(posted.text, body);
      const names = stand.received.all.flatMap((fields) => Object.keys(fields));
      assert.deepEqual(
        names.filter((name) => name.startsWith("turnabout-")),
        [],
      );
      assert.ok(!names.includes("authorization"));
    });

    it(`a WebSocket over ${kind} reaches the target`, async () => {
      await using caller = await openWebSocket(kind, stand.first, via("/ws", "web"), { headers: ALICE });
      for (const message of ["a", "b".repeat(70_000)]) {
        caller.socket.send(message);
        assert.equal(await caller.text(), message);
      }
      caller.socket.close(4_001, "enough");
      assert.deepEqual(await within(caller.closed, "the close"), { code: 4_001, reason: "enough" });
      const names = stand.received.all.flatMap((fields) => Object.keys(fields));
      assert.deepEqual(
        names.filter((name) => name.startsWith("turnabout-")),
        [],
      );
    });
  }

  it("a WebSocket gets the target's own refusal", async () => {
    const refusal = await refusedWebSocket("HTTP/1.1 on TLS", stand.first, via("/refused", "web"), {
      headers: ALICE,
    });
    assert.equal(`${refusal.status} ${refusal.text}`, "403 no");
  });

  it("CONNECT and dial() reach the target, with early bytes and half-close", async () => {
    const socket = await connectLine(stand.first, `echo.${RUNNER}`);
    socket.end("by CONNECT");
    assert.equal((await ending(socket)).data.toString(), "by CONNECT");
    for (const early of [false, true]) {
      const dialled = await stand.first.controlPlane.dial(RUNNER, "echo", { early });
      dialled.end("by dial");
      assert.equal((await ending(dialled)).data.toString(), "by dial");
    }
  });

  it("an unknown target, and one that refuses, are refused as at the other node", async () => {
    await using first = await openCaller("HTTP/2 on TLS", stand.first);
    await using second = await openCaller("HTTP/2 on TLS", stand.second);
    for (const path of [via("/", "none"), via("/", "web", "nobody")]) {
      const [here, there] = await Promise.all([
        first.call({ path, headers: ALICE }),
        second.call({ path, headers: ALICE }),
      ]);
      assert.equal(here.status, 404);
      assert.equal(errorCode(here.text), errorCode(there.text));
    }
  });

  it("the runner is listed, through the node", async () => {
    await using caller = await openCaller("HTTP/1.1 on TLS", stand.first);
    const { text } = await caller.call({ path: `/api/v1/runners/${RUNNER}`, headers: {} });
    const runner = JSON.parse(text) as { state: string; carrier: string; discovered: boolean };
    assert.deepEqual([runner.state, runner.carrier, runner.discovered], ["connected", "node", false]);
  });

  it("a revocation at the first node, and at the second, closes the caller and the target's end", async () => {
    for (const revoking of [stand.first, stand.second]) {
      const socket = await connectLine(stand.first, `echo.${RUNNER}`);
      const accepted = within(stand.echo.accepted(), "the target's end");
      socket.write("x");
      const target = await accepted;
      await using webSocket = await openWebSocket("HTTP/2 on TLS", stand.first, via("/ws", "web"), {
        headers: ALICE,
      });
      revoking.controlPlane.setTokens([]);
      const [, close] = await Promise.all([
        ending(socket).catch(() => {}),
        within(webSocket.closed, "the WebSocket"),
        eventually(() => target.destroyed, "the target's end is closed"),
      ]);
      assert.equal(close.code, 1008);
      revoking.controlPlane.setTokens(TOKENS);
    }
  });
});
