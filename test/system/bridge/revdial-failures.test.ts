/** What RevDial clients do wrong, and what goes wrong with them. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import { MAX_STREAMS } from "../../../src/control/revdial/limits.ts";
import { errorCode, openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import type { RevDialClientOptions } from "../../support/revdial-client.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startEchoTarget, startHttpTarget, startTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const TARGET = "default";

function runnerToken(id: string, runners: string[]): TokenRecord {
  return { id, kind: "runner", sha256: hashToken(id), runners };
}

const TOKENS: TokenRecord[] = [
  runnerToken("ours", [RUNNER]),
  runnerToken("theirs", ["*"]),
  { ...runnerToken("caller", ["*"]), kind: "admin" },
];

interface Stand extends AsyncDisposable {
  system: System;
  client: RevDialClient;
  /** A further client that picks up, closed with the stand. */
  connect(target: TestTarget): Promise<RevDialClient>;
}

/** A system with one client, which serves an echo by default; all of them are closed with it. */
async function start(
  { target, ...options }: Partial<RevDialClientOptions> & { target?: TestTarget } = {},
  controlPlane: ControlPlaneOptions = {},
): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  if (target !== undefined) stack.use(target);
  const faulty = controlPlane.pingIntervalMs !== undefined;
  const system = stack.use(
    await startSystem({ agents: 0, faulty, controlPlane: { tokens: TOKENS, ...controlPlane } }),
  );
  const connect = async (to: TestTarget, own: Partial<RevDialClientOptions> = {}): Promise<RevDialClient> => {
    const urls = { url: system.agentUrl, pickupUrl: system.url };
    return stack.use(await RevDialClient.connect({ ...urls, target: to, token: "ours", ...own }));
  };
  const client = await connect(target ?? system.target, options);
  return {
    system,
    client,
    connect: (to) => connect(stack.use(to)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function assertServes(system: System): Promise<void> {
  const socket = await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 });
  socket.write("echo");
  assert.equal(String((await next<[Buffer]>(socket, "data"))[0]), "echo");
  socket.destroy();
}

describe("a RevDial client is refused", () => {
  const ways: [what: string, query: string, token: string, status: number][] = [
    ["without a token", `runnerid=${RUNNER}`, "", 401],
    ["with an unknown token", `runnerid=${RUNNER}`, "x", 401],
    ["for a runner that its token does not cover", "runnerid=other", "ours", 403],
    ["without a runner", "", "ours", 400],
    ["with two runners", `runnerid=${RUNNER}&runnerid=b`, "theirs", 400],
    ["for a runner that another credential holds", `runnerid=${RUNNER}`, "theirs", 409],
  ];
  it("with a status and at once", async () => {
    await using stand = await start();
    const { system } = stand;
    for (const [what, query, token, status] of ways) {
      const url = `${system.url}/api/v1/revdial?${query}`;
      assert.equal(await RevDialClient.refusal(url, token), status, what);
    }
    await assertServes(system);
  });

  it("where the operator has switched the protocol off", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { revdial: false } });
    for (const query of [`runnerid=${RUNNER}`, `revdial.dialer=${"0".repeat(32)}`]) {
      const url = `${system.url}/api/v1/revdial?${query}`;
      assert.equal(await RevDialClient.refusal(url, ADMIN_TOKEN), 426);
    }
    const { status, body } = await call(`${system.url}/api/v1/revdial`);
    assert.equal(status, 426);
    assert.match(body, /sub-protocol.* --no-revdial/);
  });
});

describe("a pick-up", () => {
  it("counts once, only with the client's credential, and only while its dial waits", async () => {
    const paths = new EventLog<string>();
    await using stand = await start({ onDial: (path) => paths.push(path) });
    const { system, client } = stand;
    const dialled = system.controlPlane.dial(RUNNER, TARGET);
    const path = await paths.find(() => true, "a dial");
    const url = client.pickupUrl(path);
    assert.equal(await RevDialClient.refusal(url, "theirs"), 403, "another credential");
    assert.equal(await RevDialClient.refusal(url, "x"), 401);
    assert.equal(await RevDialClient.refusal(`${url}&revdial.dialer=${"0".repeat(32)}`, "ours"), 400, "two");
    await client.pickUp(path);
    const socket = await dialled;
    assert.equal(await RevDialClient.refusal(url, "ours"), 404, "used");
    socket.destroy();
    const aborter = new AbortController();
    const aborted = system.controlPlane.dial(RUNNER, TARGET, { signal: aborter.signal });
    const second = await paths.find(() => true, "the next dial", { from: 1 });
    aborter.abort();
    await assert.rejects(aborted, { code: "aborted" });
    assert.equal(await RevDialClient.refusal(client.pickupUrl(second), "ours"), 404, "its caller has left");
    assert.equal(await RevDialClient.refusal(client.pickupUrl("/revdial?revdial.dialer=x"), "ours"), 404);
  });

  it("that fails ends its dial alone, with the client's reason", async () => {
    const paths = new EventLog<string>();
    await using stand = await start({ onDial: (path) => paths.push(path) });
    const { system, client } = stand;
    const failing = system.controlPlane.dial(RUNNER, TARGET);
    const other = system.controlPlane.dial(RUNNER, TARGET);
    await paths.find(() => true, "the second dial", { from: 1 });
    const [first = "", second = ""] = paths.all;
    const err = `no route to host\n${"x".repeat(5_000)}`;
    client.send(JSON.stringify({ command: "pickup-failed", connPath: first, err }));
    await assert.rejects(failing, (error: Error & { code: string }) => {
      assert.equal(error.code, "tunnel_lost");
      assert.match(error.message, /could not pick it up: "no route to host\\nx+"$/);
      assert.ok(error.message.length < 400);
      return true;
    });
    await client.pickUp(second);
    (await other).destroy();
  });

  it("is announced for a bounded number of dials; further ones are refused at once", async () => {
    const paths = new EventLog<string>();
    const graceMs = 50;
    await using stand = await start({ onDial: (path) => paths.push(path) }, { graceMs });
    const { system, client } = stand;
    const codes = new EventLog<string>();
    const dials = Array.from({ length: MAX_STREAMS + 50 }, async () => {
      const error: unknown = await system.controlPlane.dial(RUNNER, TARGET).catch((cause: unknown) => cause);
      codes.push((error as { code: string }).code);
    });
    await codes.findNth(50, (code) => code === "overloaded", "refusals");
    await paths.findNth(MAX_STREAMS, () => true, "the other dials");
    client.kill();
    await Promise.all(dials);
    assert.equal(paths.length, MAX_STREAMS);
    assert.deepEqual(new Set(codes.all), new Set(["overloaded", "runner_offline"]));
  });

  it("whose client is lost is waited for again, on the next connection", async () => {
    const paths = new EventLog<string>();
    await using stand = await start({ onDial: (path) => paths.push(path) });
    const { system, client } = stand;
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    // Of a method that is repeated only where the target has surely seen nothing.
    const response = caller.call({ method: "POST", path: via("/", TARGET) });
    await paths.find(() => true, "the dial");
    client.kill();
    const target = await startHttpTarget((_request, response) => response.end("here again"));
    await stand.connect(target);
    assert.equal((await response).text, "here again");
  });
});

describe("a RevDial client's target", () => {
  it("that is down is a closed one to callers, and no hang", async () => {
    const target = await startTarget();
    await target.close();
    await using stand = await start({ target });
    const { system } = stand;
    await using caller = await openCaller("HTTP/1.1", system);
    const { status, text } = await caller.call({ path: via("/", TARGET) });
    assert.deepEqual([status, errorCode(text)], [502, "target_closed"]);
  });

  it("gets the Close of a WebSocket whose caller's token is revoked, and the end of the connection", async () => {
    const target = await startHttpTarget(() => {});
    const webSockets = new WebSocketServer({ noServer: true });
    const closed = Promise.withResolvers<number>();
    target.http.on("upgrade", (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.once("close", (code) => closed.resolve(code));
      });
    });
    await using stand = await start({ target });
    const { system, client } = stand;
    const headers = { authorization: "Bearer caller" };
    await using caller = await openWebSocket("HTTP/1.1", system, via("/", TARGET), { headers });
    system.controlPlane.setTokens(TOKENS.filter(({ id }) => id !== "caller"));
    assert.equal((await caller.closed).code, 1008);
    assert.equal(await closed.promise, 1001);
    await eventually(() => client.data.size === 0, "the end of the data connection");
  });

  it("loses its connection when its caller leaves", async () => {
    const target = await startTarget();
    await using stand = await start({ target });
    const { system, client } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    const accepted = await target.accepted();
    const closed = ending(accepted);
    socket.destroy();
    await closed;
    await eventually(() => client.data.size === 0, "the end of the data connection");
  });

  it("cuts a response short where its client dies, which is no clean end", async () => {
    const target = await startTarget((socket) => {
      socket.once("data", () => socket.write("HTTP/1.0 200 OK\r\n\r\npart"));
    });
    await using stand = await start({ target });
    const { system, client } = stand;
    await using caller = await openCaller("HTTP/1.1", system);
    const open = caller.open({ path: via("/", TARGET), bodyless: true });
    open.request.end();
    const response = await open.response;
    const end = ending(response.body);
    await next(response.body, "data");
    client.kill();
    assert.equal((await end).kind, "error");
  });
});

describe("a RevDial client that does not keep to the protocol", () => {
  it("may send unknown commands and some nonsense, and is closed for much of it", async () => {
    await using stand = await start();
    const { system, client } = stand;
    client.send('{"command":"dance"}');
    client.send('{"command":"pickup-failed"}');
    client.send('{"command":"pickup-failed","connPath":"/revdial?revdial.dialer=0","err":7}');
    client.send("[]");
    client.send("not json");
    client.send("[".repeat(5_000));
    await assertServes(system);
    for (let n = 0; n < 20; n += 1) client.send("not json");
    assert.equal((await client.closed).code, 1008);
  });

  it("is closed for lines without end, text messages, and floods", async () => {
    const faults: [string, (client: RevDialClient) => void][] = [
      ["long lines", (client) => client.control.send(Buffer.from(`${"x".repeat(9_000)}\n`.repeat(20)))],
      ["text", (client) => client.control.send("text")],
      ["bytes", (client) => client.control.send(Buffer.alloc(2_000_000, "\n"))],
      ["lines", (client) => client.control.send(Buffer.from("{}\n".repeat(20_000)))],
      ["pings", (client) => Array.from({ length: 12_000 }, () => client.control.ping())],
    ];
    for (const [what, fault] of faults) {
      await using stand = await start();
      const { client } = stand;
      fault(client);
      const { code } = await client.closed;
      assert.ok([1006, 1008, 1009].includes(code), `${what}: ${code}`);
    }
  });
});

describe("the end of a RevDial client's connection", () => {
  it("comes with a kick: it dials again, and what is open finishes", async () => {
    await using stand = await start();
    const { system, client } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    const kick = await call(`${system.url}/api/v1/runners/${RUNNER}`, { method: "DELETE" });
    assert.equal(kick.status, 204);
    assert.deepEqual(await client.closed, { code: 1001, reason: "an operator closed the connection" });
    socket.write("still here");
    assert.equal(String((await next<[Buffer]>(socket, "data"))[0]), "still here");
    await stand.connect(await startEchoTarget());
    await assertServes(system);
    socket.destroy();
  });

  it("comes with its token's revocation, and so does the end of its streams", async () => {
    await using stand = await start();
    const { system, client } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    const end = ending(socket);
    system.controlPlane.setTokens([]);
    assert.equal((await client.closed).code, 1008);
    const { kind, code } = await end;
    assert.deepEqual([kind, code], ["error", "tunnel_lost"]);
    await eventually(() => !isConnected(system.controlPlane), "the loss");
  });

  it("comes with a shutdown of the control plane", async () => {
    await using stand = await start();
    const { system, client } = stand;
    await system.controlPlane.close();
    assert.equal((await client.closed).code, 1012);
  });

  it("comes with silence, although its data connections are open", async () => {
    await using stand = await start({}, { pingIntervalMs: 100, pingDeadlineMs: 200 });
    const { system } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    const end = ending(socket);
    system.path?.stall();
    assert.equal((await end).code, "tunnel_lost");
  });

  it("that its client has caused leaves its open streams time", async () => {
    await using stand = await start();
    const { system, client } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    client.control.terminate();
    await client.closed;
    socket.write("still here");
    assert.equal(String((await next<[Buffer]>(socket, "data"))[0]), "still here");
    socket.destroy();
    await eventually(() => !isConnected(system.controlPlane), "the loss");
  });
});
