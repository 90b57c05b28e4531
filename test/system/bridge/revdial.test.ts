/** RevDial clients: what callers get of their targets is the same as through an agent. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { CALLERS, errorCode, openCaller, via } from "../../support/callers.ts";
import { ending, next, turn } from "../../support/events.ts";
import { listRunners } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import type { RevDialClientOptions } from "../../support/revdial-client.ts";
import { RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startEchoTarget, startHttpTarget, startTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { openWebSocket, refusedWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const TARGET = "default";

/** With an accept key that is for no key. */
const WRONG_HANDSHAKE = [
  "HTTP/1.1 101 Switching Protocols",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Accept: x",
  "",
  "",
].join("\r\n");

interface Stand extends AsyncDisposable {
  system: System;
  client: RevDialClient;
}

/** A system with one client, which serves the target; all of them are closed with it. */
async function start(
  target: TestTarget,
  { tls = false, ...options }: Partial<RevDialClientOptions> & { tls?: boolean } = {},
): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  stack.use(target);
  const system = stack.use(await startSystem({ agents: 0, tls }));
  const client = await RevDialClient.connect({ url: system.url, ca: system.pki?.ca, target, ...options });
  stack.use(client);
  return { system, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Responds with what it was sent. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("x-method", request.method ?? "");
  request.pipe(response);
}

for (const kind of CALLERS) {
  describe(`a RevDial client's target, by ${kind}`, () => {
    it("gets requests and their bodies, and callers its responses", async () => {
      const target = await startHttpTarget(echo);
      await using stand = await start(target, { tls: kind.endsWith("TLS") });
      const { system } = stand;
      await using caller = await openCaller(kind, system);
      const body = randomBytes(3_000_000);
      const { status, headers, data } = await caller.call({ method: "POST", path: via("/x", TARGET), body });
      assert.equal(status, 200);
      assert.equal(headers["x-method"], "POST");
      assert.equal(digest(data), digest(body));
    });

    it("has WebSockets, and its refusal of one reaches the caller", async () => {
      const target = await startHttpTarget((_request, response) => {
        response.writeHead(403, { "x-why": "closed" }).end("not today");
      });
      const webSockets = new WebSocketServer({ noServer: true });
      target.http.on("upgrade", (request, socket, head) => {
        if (request.url === "/wrong") return void socket.end(WRONG_HANDSHAKE);
        if (request.url !== "/open")
          return void socket.end("HTTP/1.1 403 No\r\nX-Why: closed\r\nContent-Length: 9\r\n\r\nnot today");
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          webSocket.on("message", (message, isBinary) => webSocket.send(message, { binary: isBinary }));
        });
      });
      await using stand = await start(target, { tls: kind.endsWith("TLS") });
      const { system } = stand;
      await using socket = await openWebSocket(kind, system, via("/open", TARGET));
      socket.socket.send("hello");
      assert.equal(await socket.text(), "hello");
      socket.socket.close(4_001, "done");
      assert.deepEqual(await socket.closed, { code: 4_001, reason: "done" });
      const refused = await refusedWebSocket(kind, system, via("/refused", TARGET));
      assert.deepEqual(
        [refused.status, refused.headers["x-why"], refused.text],
        [403, "closed", "not today"],
      );
      const wrong = await refusedWebSocket(kind, system, via("/wrong", TARGET));
      assert.deepEqual([wrong.status, errorCode(wrong.text)], [502, "target_protocol"]);
    });
  });
}

describe("a RevDial client", () => {
  it("is listed as a runner with its carrier, its one target and its round trip", async () => {
    await using stand = await start(await startEchoTarget());
    const { system } = stand;
    const [runner] = await listRunners(system.url);
    assert.equal(runner?.id, RUNNER);
    assert.equal(runner.state, "connected");
    assert.equal(runner.carrier, "revdial");
    assert.deepEqual(runner.targets, [{ name: TARGET, http: "auto", healthy: true, mayDial: true }]);
    assert.equal(runner.bootEpoch, null);
    await using caller = await openCaller("HTTP/1.1", system);
    const ping = await caller.call({ path: `/api/v1/runners/${RUNNER}/ping` });
    assert.equal(ping.status, 200);
    const metrics = await caller.call({ path: `/api/v1/runners/${RUNNER}/metrics` });
    assert.equal(errorCode(metrics.text), "not_supported");
  });

  it("has no other target", async () => {
    await using stand = await start(await startEchoTarget());
    const { system } = stand;
    await assert.rejects(system.controlPlane.dial(RUNNER, "other"), { code: "target_unknown" });
  });

  it("reads `keep-alive` first and behind every dial, whose path cannot be guessed and is different each time", async () => {
    await using stand = await start(await startEchoTarget());
    const { system, client } = stand;
    for (let n = 0; n < 2; n += 1) (await system.controlPlane.dial(RUNNER, TARGET)).destroy();
    const commands = client.commands.all.map(({ command }) => command);
    assert.deepEqual(commands, ["keep-alive", "conn-ready", "keep-alive", "conn-ready", "keep-alive"]);
    const paths = client.commands.all.flatMap(({ connPath = [] }) => connPath);
    assert.equal(new Set(paths).size, 2);
    for (const path of paths) assert.match(path, /^\/revdial\?revdial\.dialer=[0-9a-f]{32}$/);
  });

  it("may dial pick-ups without /api/v1, and loses nothing of a large body", async () => {
    const target = await startHttpTarget(echo);
    await using stand = await start(target, { prefix: "" });
    const { system } = stand;
    await using caller = await openCaller("HTTP/1.1", system);
    const body = randomBytes(100_000);
    const { status, data } = await caller.call({ method: "POST", path: via("/x", TARGET), body });
    assert.equal(status, 200);
    assert.equal(digest(data), digest(body));
  });

  it("keeps 200 parallel dials apart", async () => {
    await using stand = await start(await startEchoTarget());
    const { system } = stand;
    const echoes = Array.from({ length: 200 }, async (_, n) => {
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      socket.write(`caller ${n}`);
      const [chunk] = await next<[Buffer]>(socket, "data");
      socket.destroy();
      return chunk.toString();
    });
    assert.deepEqual(
      await Promise.all(echoes),
      Array.from({ length: 200 }, (_, n) => `caller ${n}`),
    );
  });

  it("is reached through the forward proxy, and the target's end is the caller's", async () => {
    const target = await startTarget((socket) => socket.end("all of it"));
    await using stand = await start(target);
    const { system } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    const { kind, data } = await ending(socket);
    assert.deepEqual([kind, data.toString()], ["end", "all of it"]);
  });

  it("streams a response whose end is the connection's", async () => {
    const target = await startTarget((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        setTimeout(() => socket.end("data: 2\n\n"), 20);
      });
    });
    await using stand = await start(target);
    const { system } = stand;
    await using caller = await openCaller("HTTP/1.1", system);
    const { status, text, kind } = await caller.call({ path: via("/events", TARGET) });
    assert.deepEqual([status, kind, text], [200, "end", "data: 1\n\ndata: 2\n\n"]);
  });

  it("holds a bounded part of what a caller does not read", async () => {
    let sent = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const target = await startTarget((socket) => {
      const send = (): void => {
        while (sent < 200_000_000 && socket.write(chunk)) sent += chunk.length;
      };
      socket.on("drain", send);
      send();
    });
    await using stand = await start(target);
    const { system } = stand;
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    let before = -1;
    while (before !== sent) {
      before = sent;
      await turn(200);
    }
    assert.ok(sent < 50_000_000, `${sent} bytes were taken without a reader`);
    socket.destroy();
  });
});

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
