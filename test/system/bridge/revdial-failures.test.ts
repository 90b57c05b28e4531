/** What RevDial clients do wrong, and what goes wrong with them. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { errorCode, openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { call, runnersUntil } from "../../support/http.ts";
import type { RunnerListing } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startSystem } from "../../support/system.ts";
import { startEchoTarget, startHttpTarget, startTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";
import { assertServes, startRevDial, TARGET, TOKENS } from "./revdial-stand.ts";

afterEach(() => assertNothingOpen());

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
    await using stand = await startRevDial();
    const { system } = stand;
    for (const [what, query, token, status] of ways) {
      const url = `${system.url}/api/v1/revdial?${query}`;
      assert.equal(await RevDialClient.refusal(url, token), status, what);
    }
    const plain = await call(`${system.url}/api/v1/revdial?runnerid=${RUNNER}`, {
      headers: { connection: "Upgrade" },
    });
    assert.equal(plain.status, 426, "without a WebSocket");
    assert.match(plain.body, /refused if too old/);
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

describe("a RevDial client's target", () => {
  it("that is down is a closed one to callers, and no hang", async () => {
    const target = await startTarget();
    await target.close();
    await using stand = await startRevDial({ target });
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
    await using stand = await startRevDial({ target });
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
    await using stand = await startRevDial({ target });
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
    await using stand = await startRevDial({ target });
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

describe("a request that has no response yet", () => {
  const start = async () => {
    const requests = new EventLog<string>();
    const target = await startHttpTarget((request) => requests.push(request.method ?? ""));
    const stand = await startRevDial({ target });
    const caller = await openCaller("HTTP/1.1", stand.system);
    const send = (method: string) => caller.call({ method, path: via("/", TARGET) });
    const isSent = (method: string) => requests.find((sent) => sent === method, `a ${method} at the target`);
    const close = async () => {
      await caller[Symbol.asyncDispose]();
      await stand[Symbol.asyncDispose]();
    };
    return { stand, send, isSent, [Symbol.asyncDispose]: close };
  };

  it("is sent again to the next client, when its own has gone, if it is safe: a client's restart is a loss", async () => {
    await using requests = await start();
    const { stand, send } = requests;
    const safe = send("GET");
    await requests.isSent("GET");
    const unsafe = send("POST");
    await requests.isSent("POST");
    stand.client.kill();
    const { status, text } = await unsafe;
    assert.deepEqual([status, errorCode(text)], [502, "tunnel_lost"]);
    const isWaiting = ({ waitingDials }: RunnerListing) => waitingDials === 1;
    await runnersUntil(stand.system.url, (rows) => rows.some(isWaiting), "the request's second dial");
    await stand.connect(await startHttpTarget((_request, response) => response.end("here again")));
    assert.equal((await safe).text, "here again");
  });

  it("fails when its client's token is revoked", async () => {
    await using requests = await start();
    const { stand, send } = requests;
    const safe = send("GET");
    await requests.isSent("GET");
    stand.system.controlPlane.setTokens(TOKENS.filter(({ id }) => id !== "ours"));
    const { status, text } = await safe;
    assert.deepEqual([status, errorCode(text)], [502, "tunnel_lost"]);
  });
});

describe("a RevDial client that does not keep to the protocol", () => {
  it("may send unknown commands and some nonsense, and is closed for much of it", async () => {
    await using stand = await startRevDial();
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
      await using stand = await startRevDial();
      const { client } = stand;
      fault(client);
      const { code } = await client.closed;
      assert.ok([1006, 1008, 1009].includes(code), `${what}: ${code}`);
    }
  });
});

describe("the end of a RevDial client's connection", () => {
  it("comes with a kick: it dials again, and what is open finishes", async () => {
    await using stand = await startRevDial();
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
    await using stand = await startRevDial();
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
    await using stand = await startRevDial();
    const { system, client } = stand;
    await system.controlPlane.close();
    assert.equal((await client.closed).code, 1012);
  });

  it("comes with silence, although its data connections are open", async () => {
    await using stand = await startRevDial({}, { pingIntervalMs: 100, pingDeadlineMs: 200 });
    const { system } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    const end = ending(socket);
    system.path?.stall();
    assert.equal((await end).code, "tunnel_lost");
  });

  it("that its client has caused leaves its open streams time", async () => {
    await using stand = await startRevDial();
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
