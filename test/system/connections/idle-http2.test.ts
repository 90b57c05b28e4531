/** A caller's HTTP/2 connection without a request gets GOAWAY and is closed, whether or not the caller closes its end. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { Http2Callers } from "../../../src/control/connections/http2-callers.ts";
import { guardHttp2Session } from "../../../src/wire/streams/end-stream.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { FRAME, FrameClient } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";

after(() => assertNothingOpen());

interface Stand {
  port: number;
  sockets: Set<net.Socket>;
}

async function startStand(times: { idleMs: number; firstRequestMs: number }): Promise<Stand> {
  const callers = new Http2Callers({ log: { warn: () => {} }, ...times });
  const sockets = new Set<net.Socket>();
  const h2 = http2.createServer();
  let arriving: net.Socket | undefined;
  h2.on("session", (session) => {
    guardHttp2Session(session);
    session.on("error", () => {}); // permanent
    if (arriving !== undefined) callers.follow(session, arriving);
  });
  h2.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.resume();
    stream.once("end", () => stream.end("ok"));
  });
  const server = net.createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {}); // permanent
    arriving = socket;
    h2.emit("connection", socket);
  });
  server.listen(0, "127.0.0.1");
  await next(server, "listening");
  closedAtTheEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await next(server, "close");
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

describe("an HTTP/2 connection", () => {
  it("without a first request gets GOAWAY, and is closed although the caller keeps its end open", async () => {
    const { port, sockets } = await startStand({ firstRequestMs: 50, idleMs: 1_000_000 });
    const socket = await connectRaw(port);
    const client = await FrameClient.open(socket);
    const goaway = await client.until(({ type }) => type === FRAME.GOAWAY);
    assert.equal(goaway.payload.readUInt32BE(4), 0);
    await eventually(() => sockets.size === 0, "the end of our side");
    socket.destroy();
  });

  it("whose last request has ended gets GOAWAY after its idle time, and not before", async () => {
    const { port } = await startStand({ firstRequestMs: 1_000_000, idleMs: 200 });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    for (let i = 0; i < 3; i += 1) {
      const end = ending(session.request({ ":path": "/" }));
      assert.equal((await end).data.toString(), "ok");
    }
    const startedAt = performance.now();
    const [code] = await next<[number]>(session, "goaway");
    assert.equal(code, 0);
    assert.ok(performance.now() - startedAt >= 150);
    if (!session.destroyed) await next(session, "close");
  });

  it("with an open stream is not idle", async () => {
    const { port, sockets } = await startStand({ firstRequestMs: 30, idleMs: 30 });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":path": "/", ":method": "POST" }); // its body stays open
    await next(stream, "response");
    stream.resume();
    // Another connection ends meanwhile: the same timers have passed.
    const other = await FrameClient.open(await connectRaw(port));
    await other.until(({ type }) => type === FRAME.GOAWAY);
    await eventually(() => sockets.size === 1, "the end of the other connection");
    assert.equal(session.closed, false);
    stream.end();
    await next(session, "goaway");
    other.socket.destroy();
    if (!session.destroyed) await next(session, "close");
  });
});
