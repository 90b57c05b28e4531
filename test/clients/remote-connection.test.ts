/** Dials over one HTTP/2 connection to the forward proxy. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { RemoteConnection } from "../../src/clients/dial/remote-connection.ts";
import { createRemoteDial } from "../../src/clients/dial/remote-dial.ts";
import { MAX_REMOTE_CONNECTIONS } from "../../src/clients/dial/limits.ts";
import { CALLER_MAX_STREAMS } from "../../src/control/limits.ts";
import type { TurnaboutError } from "../../src/wire/errors.ts";
import { api, issueToken } from "../support/api.ts";
import { closedAtTheEnd } from "../support/cleanup.ts";
import { ending, eventually } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { startTarget } from "../support/target.ts";

afterEach(() => assertNothingOpen());

async function remoteOf({ url, caFile }: System, token = ADMIN_TOKEN): Promise<RemoteConnection> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, "utf8");
  const remote = new RemoteConnection({ server: url, token, ca });
  closedAtTheEnd(async () => remote.close());
  return remote;
}

for (const tls of [false, true]) {
  describe(`a remote connection ${tls ? "over TLS" : "in plaintext"}`, () => {
    it("carries bytes and the end of each direction for itself", async () => {
      const target = await startTarget();
      await using system = await startSystem({ target, tls });
      const socket = await (await remoteOf(system)).open(RUNNER, TARGET);
      const ours = ending(socket);
      socket.end("first bytes");
      const atTarget = await target.accepted();
      const theirs = await ending(atTarget);
      assert.deepEqual([theirs.kind, theirs.data.toString()], ["end", "first bytes"]);
      atTarget.end("after your end");
      const end = await ours;
      assert.deepEqual([end.kind, end.data.toString()], ["end", "after your end"]);
    });

    it("gives a refusal as the socket's error, with its code", async () => {
      await using system = await startSystem({ tls });
      const remote = await remoteOf(system);
      for (const [runner, target, expected] of [
        [RUNNER, "none", "target_unknown"],
        ["nobody", TARGET, "runner_unknown"],
      ] as const) {
        const socket = await remote.open(runner, target);
        socket.write("lost");
        const [error] = (await once(socket, "error")) as [TurnaboutError];
        assert.equal(error.code, expected);
      }
    });
  });
}

/** Accepts every CONNECT, as many as `maxStreams` on a connection. */
async function startConnectServer(maxStreams: number) {
  const server = http2.createServer({ settings: { maxConcurrentStreams: maxStreams } });
  const sessions = new Set<http2.ServerHttp2Session>();
  const started = { url: "", sessions, connections: 0, streams: 0 };
  server.on("session", (session) => {
    started.connections += 1;
    sessions.add(session);
    session.on("error", () => {});
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: http2.ServerHttp2Stream) => {
    started.streams += 1;
    stream.on("error", () => {});
    stream.once("close", () => (started.streams -= 1));
    stream.resume();
    stream.respond({ ":status": 200 });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  started.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = async (): Promise<void> => {
    for (const session of sessions) session.destroy();
    server.close();
    await once(server, "close");
  };
  return Object.assign(started, { [Symbol.asyncDispose]: stop });
}

describe("a remote connection", () => {
  it("does not blame the target where its credential is revoked", async () => {
    const target = await startTarget();
    await using system = await startSystem({ target });
    const token = await issueToken(system.url, { id: "alice", kind: "user", runners: [RUNNER] });
    const socket = await (await remoteOf(system, token)).open(RUNNER, TARGET);
    const failed = once(socket, "error");
    socket.write("x");
    await target.accepted();
    assert.equal((await api(system.url, "DELETE", "/api/v1/tokens/alice")).status, 204);
    const [error] = (await failed) as [TurnaboutError];
    assert.match(error.message, /the control plane or the target has reset the stream/);
    assert.match(error.hint ?? "", /a token that was revoked/);
  });

  it("opens a second one where the first has as many streams as the control plane allows", async () => {
    const target = await startTarget();
    await using system = await startSystem({ target, agent: { connections: 2 } });
    const remote = await remoteOf(system);
    await remote.warm();
    const count = CALLER_MAX_STREAMS + 5;
    const sockets = await Promise.all(Array.from({ length: count }, () => remote.open(RUNNER, TARGET)));
    for (const socket of sockets) socket.on("error", () => {});
    await eventually(() => target.sockets.size === count, "all dials at the target");
    for (const socket of sockets) socket.destroy();
  });

  it("has a bounded number of connections, also where each takes one stream only", async () => {
    await using server = await startConnectServer(1);
    const remote = new RemoteConnection({ server: server.url, token: "t" });
    closedAtTheEnd(async () => remote.close());
    const opened = await Promise.all(
      Array.from({ length: MAX_REMOTE_CONNECTIONS }, () => remote.open(RUNNER, TARGET)),
    );
    for (const socket of opened) socket.on("error", () => {});
    await assert.rejects(remote.open(RUNNER, TARGET), { code: "overloaded" });
    assert.equal(server.sessions.size, MAX_REMOTE_CONNECTIONS);
    await eventually(() => server.streams === MAX_REMOTE_CONNECTIONS, "all at the server");
    const [first] = opened;
    first?.destroy();
    await eventually(() => server.streams === MAX_REMOTE_CONNECTIONS - 1, "the end of one");
    const again = await remote.open(RUNNER, TARGET);
    again.on("error", () => {});
    assert.equal(server.sessions.size, MAX_REMOTE_CONNECTIONS);
  });

  it("does not connect again and again to a server that takes no streams", async () => {
    await using server = await startConnectServer(0);
    const remote = new RemoteConnection({ server: server.url, token: "t" });
    await assert.rejects(remote.open(RUNNER, TARGET), {
      code: "carrier_failed",
      message: /takes no streams/,
    });
    assert.equal(server.connections, 1);
  });

  it("connects again after a loss, and what was open has an error", async () => {
    await using system = await startSystem({ faulty: true });
    const remote = new RemoteConnection({ server: system.agentUrl, token: ADMIN_TOKEN });
    closedAtTheEnd(async () => remote.close());
    const socket = await remote.open(RUNNER, TARGET);
    socket.write("x");
    await once(socket, "data");
    system.path?.reset();
    const [error] = (await once(socket, "error")) as [TurnaboutError];
    assert.equal(error.code, "tunnel_lost");
    const after = await remote.open(RUNNER, TARGET, { waitMs: 10_000 });
    after.write("y");
    assert.deepEqual(await once(after, "data"), [Buffer.from("y")]);
    after.destroy();
  });

  it("names what is wrong where the port speaks no HTTP/2, and where nobody listens", async () => {
    const server = net.createServer((socket) => void socket.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const remote = new RemoteConnection({ server: `http://127.0.0.1:${port}`, token: ADMIN_TOKEN });
    await assert.rejects(remote.open(RUNNER, TARGET), {
      code: "carrier_failed",
      message: /speaks no HTTP\/2/,
    });
    server.close();
    await once(server, "close");
    await assert.rejects(remote.open(RUNNER, TARGET), { code: "carrier_failed", message: /ECONNREFUSED/ });
    remote.close();
    await assert.rejects(remote.open(RUNNER, TARGET), { code: "aborted" });
  });
});

function succeeded(): never {
  assert.fail("not refused");
}

describe("a refusal of a server in front of the control plane", () => {
  const FRONTS: readonly (readonly [number, string, RegExp])[] = [
    [400, "carrier_failed", /is there a control plane at this address/],
    [401, "unauthenticated", /its own login/],
    [403, "not_allowed", /its own login/],
    [404, "carrier_failed", /is there a control plane/],
    [405, "carrier_failed", /pass CONNECT/],
    [407, "unauthenticated", /its own login/],
    [429, "rate_limited", /wait/],
    [502, "server_unreachable", /does not reach the control plane/],
    [503, "server_unreachable", /does not reach the control plane/],
    [504, "server_unreachable", /does not reach the control plane/],
  ];

  async function listening(server: net.Server): Promise<string> {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it("has a code and a hint of its own, over HTTP/2 and HTTP/1.1", async () => {
    let status = 0;
    using opened = new DisposableStack();
    const http2Front = http2.createServer();
    http2Front.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": status, "retry-after": "7" });
      stream.end("<html>");
    });
    const http1Front = http.createServer().on("connect", (_request, socket) => {
      socket.on("error", () => {});
      socket.end(`HTTP/1.1 ${status} No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n`);
    });
    opened.defer(() => void http2Front.close());
    opened.defer(() => void http1Front.close());
    const remote = new RemoteConnection({ server: await listening(http2Front), token: "t" });
    opened.defer(() => remote.close());
    const dial = createRemoteDial({ server: await listening(http1Front), token: "t" });
    for (const [given, code, hint] of FRONTS) {
      status = given;
      const socket = await remote.open(RUNNER, TARGET);
      const [overHttp2] = (await once(socket, "error")) as [TurnaboutError];
      const overHttp1 = await dial(RUNNER, TARGET).then(succeeded, (error: TurnaboutError) => error);
      for (const error of [overHttp2, overHttp1]) {
        assert.deepEqual([error.code, error.retryAfterS], [code, 7], String(given));
        assert.match(error.message, new RegExp(`${RUNNER} ${TARGET}: a server in front .* ${given}$`));
        assert.match(error.hint ?? "", hint);
      }
    }
  });

  it("is told from the control plane's own, whose reason and request it has", async () => {
    await using system = await startSystem();
    const remote = await remoteOf(system, "wrong");
    const socket = await remote.open(RUNNER, TARGET);
    const [overHttp2] = (await once(socket, "error")) as [TurnaboutError];
    const dial = createRemoteDial({ server: system.url, token: "wrong" });
    const overHttp1 = await dial(RUNNER, TARGET).then(succeeded, (error: TurnaboutError) => error);
    for (const error of [overHttp2, overHttp1]) {
      assert.equal(error.code, "unauthenticated");
      assert.match(error.message, /A valid token is required \(request [\w-]{36}\)$/);
      assert.match(error.hint ?? "", /does not know the token/);
    }
  });
});
