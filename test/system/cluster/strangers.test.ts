/** Who may connect as a node, and what a request between nodes has to have. The target gets nothing of what is refused. */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import net from "node:net";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import tls from "node:tls";
import { createAgent } from "../../../src/agent/agent.ts";
import type { Agent } from "../../../src/agent/agent.ts";
import { createCluster } from "../../../src/cluster/cluster.ts";
import { finishHandshake, requestHandshake } from "../../../src/cluster/peers/handshake.ts";
import { ClusterKeys } from "../../../src/cluster/peers/keys.ts";
import type { MacKey } from "../../../src/cluster/peers/keys.ts";
import { RequestSigner } from "../../../src/cluster/peers/signed-requests.ts";
import { HEADER, PEER_ENDPOINT_PATH, PEER_UPGRADE_TOKEN } from "../../../src/wire/protocol.ts";
import { next, within } from "../../support/events.ts";
import { file } from "../../support/agents.ts";
import { CLUSTER_SECRET, startNodes } from "../../support/nodes.ts";
import type { Nodes, TestNode } from "../../support/nodes.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startControlPlane } from "../../support/system.ts";
import { startEchoTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";

const CONNECT = { ":method": "CONNECT", ":authority": `echo.${RUNNER}` };

let nodes: Nodes;
let node: TestNode;
let target: TestTarget;
let agent: Agent;

before(async () => {
  nodes = await startNodes(1, { graceMs: 200 });
  node = nodes.at(1);
  target = await startEchoTarget();
  agent = createAgent({
    server: node.url,
    caFile: file(nodes.pki.ca),
    token: { value: ADMIN_TOKEN },
    runners: { [RUNNER]: { echo: target.address } },
    connections: 1,
  });
  await within(agent.connected(), "the agent");
});

after(async () => {
  await agent.close();
  await nodes[Symbol.asyncDispose]();
  await target.close();
  await assertNothingOpen();
});

interface Upgrade {
  status: number;
  field: string | string[] | undefined;
  socket: Socket;
}

async function upgrade(
  value: string | undefined,
  { port = node.controlPlane.port, isTls = true }: { port?: number; isTls?: boolean } = {},
): Promise<Upgrade> {
  const to = { host: "localhost", port };
  const socket = isTls
    ? tls.connect({ ...to, ca: nodes.pki.ca, ALPNProtocols: ["http/1.1"] })
    : net.connect(to);
  socket.on("error", () => {}); // permanent
  const { promise, resolve, reject } = Promise.withResolvers<Upgrade>();
  const request = http.request({
    createConnection: () => socket,
    path: PEER_ENDPOINT_PATH,
    headers: {
      connection: "Upgrade",
      upgrade: PEER_UPGRADE_TOKEN,
      ...(value !== undefined && { [HEADER.peer]: value }),
    },
  });
  request.on("error", reject);
  request.on("response", (response) => {
    response.resume();
    socket.destroy();
    resolve({ status: response.statusCode ?? 0, field: response.headers[HEADER.peer], socket });
  });
  request.on("upgrade", (response) => {
    resolve({ status: response.statusCode ?? 0, field: response.headers[HEADER.peer], socket });
  });
  request.end();
  return within(promise, "a response");
}

interface Connected extends AsyncDisposable {
  session: ClientHttp2Session;
  key: MacKey;
  signer: RequestSigner;
}

/** As node 2, which knows the secret. */
async function connectAsNode(): Promise<Connected> {
  const keys = new ClusterKeys(CLUSTER_SECRET);
  const handshake = requestHandshake(keys, "node-2", node.id);
  const { field, socket } = await upgrade(handshake.value);
  const key = finishHandshake(keys, handshake, field);
  const session = http2.connect("http://agent", { createConnection: () => socket });
  session.on("error", () => {}); // permanent
  await next(session, "remoteSettings");
  return {
    session,
    key,
    signer: new RequestSigner(key),
    [Symbol.asyncDispose]: async () => {
      if (session.destroyed) return;
      const closed = next(session, "close");
      session.destroy();
      await closed;
    },
  };
}

function open(
  { session }: Connected,
  headers: OutgoingHttpHeaders,
  field: string | undefined,
): ClientHttp2Stream {
  const stream = session.request(
    { ...headers, ...(field !== undefined && { [HEADER.peer]: field }) },
    { endStream: false },
  );
  stream.on("error", () => {}); // permanent
  return stream;
}

/** In whatever way it is closed. */
function closing(session: ClientHttp2Session): Promise<void> {
  return within(new Promise<void>((resolve) => void session.once("close", resolve)), "the connection's end");
}

async function echoes(connected: Connected): Promise<string> {
  const stream = open(connected, CONNECT, connected.signer.sign(CONNECT, undefined));
  stream.end("hello");
  const [head] = await next<[{ ":status": number }]>(stream, "response");
  const [data] = await next<[Buffer]>(stream, "data");
  return `${head[":status"]} ${data.toString()}`;
}

describe("a stranger at the endpoint of nodes", () => {
  const own = (secret: string): string => requestHandshake(new ClusterKeys(secret), "node-2", "node-1").value;

  it("is refused without a field, with the admin token's, and with another secret's", async () => {
    for (const value of [undefined, "", `Bearer ${ADMIN_TOKEN}`, own("f".repeat(64))]) {
      const { status, field } = await upgrade(value);
      assert.equal(`${status} ${String(field)}`, "401 undefined");
    }
  });

  it("is refused without TLS, whatever it knows", async () => {
    const { status } = await upgrade(own(CLUSTER_SECRET), { isTls: false });
    assert.equal(status, 403);
  });

  it("finds nothing at a control plane without a cluster", async () => {
    await using alone = await startControlPlane();
    const { status } = await upgrade(own(CLUSTER_SECRET), { port: alone.port, isTls: false });
    assert.equal(status, 401);
    const { status: there } = await upgrade(undefined, { port: alone.port, isTls: false });
    assert.equal(there, 401);
  });
});

describe("a request between nodes", () => {
  it("reaches the target if it is signed", async () => {
    await using connected = await connectAsNode();
    assert.equal(await echoes(connected), "200 hello");
  });

  it("ends its connection where it is not signed, is another's, or comes twice; the target gets nothing", async () => {
    const faulty: ((connected: Connected) => string | undefined)[] = [
      () => undefined,
      () => `1.0.e30.${"A".repeat(43)}`,
      ({ signer }) => signer.sign({ ...CONNECT, ":authority": `other.${RUNNER}` }, undefined),
      () => new RequestSigner(new ClusterKeys(CLUSTER_SECRET).handshake).sign(CONNECT, undefined),
    ];
    for (const fieldOf of faulty) {
      await using connected = await connectAsNode();
      const closed = closing(connected.session);
      open(connected, CONNECT, fieldOf(connected)).end("forged");
      await closed;
    }
    await using connected = await connectAsNode();
    const field = connected.signer.sign(CONNECT, undefined);
    const first = open(connected, CONNECT, field);
    first.write("first");
    await next(first, "data");
    const before = target.sockets.size;
    const closed = closing(connected.session);
    open(connected, CONNECT, field).end("again");
    await closed;
    assert.ok(target.sockets.size <= before);
  });

  it("of one connection is worth nothing on another", async () => {
    await using one = await connectAsNode();
    await using other = await connectAsNode();
    const closed = closing(other.session);
    open(other, CONNECT, one.signer.sign(CONNECT, undefined));
    await closed;
    assert.equal(await echoes(one), "200 hello");
  });

  it("for what is not there is refused, and nobody goes on from here to a third node", async () => {
    nodes.directory.join("node-9", "https://localhost:1");
    nodes.directory.enter("node-9", {
      runnerId: "elsewhere",
      processId: "p",
      bootEpochMs: 0,
      credentialId: "admin",
      standby: false,
      discovered: false,
      targets: [{ name: "echo", http: "auto" }],
      streamsPerTarget: 10,
    });
    await using connected = await connectAsNode();
    const headers = { ":method": "CONNECT", ":authority": "echo.elsewhere" };
    const stream = open(connected, headers, connected.signer.sign(headers, undefined));
    const [head] = await next<[{ ":status": number }]>(stream, "response");
    assert.equal(head[":status"], 404);
    nodes.directory.leave("node-9");
    assert.equal(await echoes(connected), "200 hello");
  });
});

describe("the options of a cluster", () => {
  const options = { nodeId: "node-1", secret: CLUSTER_SECRET, createDirectory: () => assert.fail() };

  it("have no plain HTTP between nodes, unless it is allowed", () => {
    assert.throws(() => createCluster({ ...options, url: "http://10.0.0.1:8080" }), {
      code: "config_invalid",
    });
    createCluster({ ...options, url: "http://10.0.0.1:8080", allowPlaintext: true });
    assert.throws(() => createCluster({ ...options, url: "ftp://x" }), { code: "config_invalid" });
    assert.throws(() => createCluster({ ...options, nodeId: "A B", url: "https://x" }), {
      code: "config_invalid",
    });
  });
});
