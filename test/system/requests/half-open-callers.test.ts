/** HTTP/2 callers that have their response and never end their own half: they keep nothing open at the target. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import { afterEach, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

async function openSession(system: System): Promise<ClientHttp2Session> {
  const session = http2.connect(`http://127.0.0.1:${system.controlPlane.port}`);
  session.on("error", () => {}); // permanent
  await next(session, "remoteSettings");
  return session;
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders): ClientHttp2Stream {
  return session.request({ authorization: `Bearer ${ADMIN_TOKEN}`, ...headers }, { endStream: false });
}

async function end(session: ClientHttp2Session): Promise<void> {
  const closed = next(session, "close");
  session.destroy();
  await closed;
}

/** Streams on the tunnel connections, over and above the endless `/events`. */
function openStreams(system: System): number {
  const connections = system.controlPlane.runners().flatMap((view) => view.connections);
  return new Set(connections).values().reduce((sum, { openStreams }) => sum + openStreams, 0);
}

describe("an HTTP/2 caller that never ends its half", () => {
  it("of a WebSocket that the target refused keeps no stream to the agent open", async () => {
    const target = await startRawTarget(({ socket }) => {
      socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone");
    });
    await using system = await startSystem({ target });
    const session = await openSession(system);
    const before = openStreams(system);
    const stream = ask(session, { ":method": "CONNECT", ":protocol": "websocket", ":path": via("/") });
    const [headers] = await next<[{ ":status"?: number }]>(stream, "response");
    const { kind, data } = await ending(stream);
    assert.deepEqual([headers[":status"], kind, data.toString()], [404, "end", "none"]);
    await eventually(() => target.sockets.size === 0, "the target's connection closed");
    await eventually(() => openStreams(system) === before, "the agent's stream closed");
    await end(session);
  });

  it("of an upload with an early response keeps no connection to the target open", async () => {
    const target = await startTarget((socket) => {
      socket.once("data", () =>
        socket.end("HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
      );
    });
    await using system = await startSystem({ target });
    const session = await openSession(system);
    const stream = ask(session, { ":method": "POST", ":path": via("/"), "content-length": 1_000 });
    stream.write("a");
    const [headers] = await next<[{ ":status"?: number }]>(stream, "response");
    assert.equal(headers[":status"], 401);
    assert.equal((await ending(stream)).kind, "end");
    await eventually(() => target.sockets.size === 0, "the target's connection closed");
    await end(session);
  });

  it("of a request that we refuse gets the whole response", async () => {
    await using system = await startSystem();
    const session = await openSession(system);
    const stream = ask(session, { ":method": "POST", ":path": via("/", "other") });
    const [headers] = await next<[{ ":status"?: number }]>(stream, "response");
    assert.equal(headers[":status"], 404);
    assert.equal((await ending(stream)).kind, "end");
    await end(session);
  });
});
