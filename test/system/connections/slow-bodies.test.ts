/** A request body that stalls ends with 408; slow ones, and those that no one waits for, have all the time they need. */
import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { after, describe, it } from "node:test";
import { BODY_PROGRESS_BYTES } from "../../../src/control/connections/limits.ts";
import { SlowBodies } from "../../../src/control/connections/slow-bodies.ts";
import { dropBody, refuseBody } from "../../../src/control/listener/refused-requests.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";

after(() => assertNothingOpen());

const HEAD = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n`;

interface Stand {
  port: number;
  received: () => number;
}

async function startStand(
  times: { progressMs: number; leftoverMs: number },
  serve: (request: http.IncomingMessage, response: http.ServerResponse) => void,
): Promise<Stand> {
  const bodies = new SlowBodies({ ...times, checkMs: 10, refuse: refuseBody, drop: dropBody });
  const sockets = new Set<Socket>();
  let received = 0;
  const server = http.createServer({ requestTimeout: 0 }, (request, response) => {
    request.on("error", () => {}); // permanent
    request.on("data", (chunk: Buffer) => (received += chunk.length));
    bodies.follow(request, response, () => request.socket.bytesRead);
    serve(request, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await next(server, "listening");
  closedAtTheEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await next(server, "close");
  });
  return { port: (server.address() as AddressInfo).port, received: () => received };
}

describe("a body", () => {
  for (const drip of [false, true]) {
    it(`that ${drip ? "brings a byte now and then" : "stalls"} ends with 408`, async () => {
      const { port } = await startStand({ progressMs: 200, leftoverMs: 50 }, () => {});
      const socket = await connectRaw(port);
      const ended = ending(socket);
      socket.write(`${HEAD}\r\nx`);
      const timer = drip ? setInterval(() => socket.write("x"), 20) : undefined;
      const text = (await ended).data.toString();
      clearInterval(timer);
      socket.destroy();
      assert.match(text, /^HTTP\/1\.1 408 [^]*"request_timeout"/);
    });
  }

  it("that makes progress is left alone", async () => {
    const stand = await startStand({ progressMs: 200, leftoverMs: 50 }, (request, response) => {
      request.on("end", () => response.end("whole"));
    });
    const socket = await connectRaw(stand.port);
    const ended = ending(socket);
    const pieces = 25;
    const piece = Buffer.alloc(2 * BODY_PROGRESS_BYTES);
    socket.write(
      `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${pieces * piece.length}\r\n\r\n`,
    );
    for (let n = 1; n <= pieces; n += 1) {
      socket.write(piece);
      await eventually(() => stand.received() === n * piece.length, "the piece");
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, 20); // together longer than a stall may be
      await promise;
    }
    assert.match((await ended).data.toString(), /whole$/);
    socket.destroy();
  });

  it("that no one reads yet is left alone, and so is one whose response has begun, and gRPC", async () => {
    const serve = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      if (request.headers["x-case"] === "unread") request.pause();
      if (request.headers["x-case"] === "begun") response.write("begun");
    };
    const { port } = await startStand({ progressMs: 50, leftoverMs: 50 }, serve);
    const left: Socket[] = [];
    let bytes = "";
    for (const fields of ["X-Case: unread", "X-Case: begun", "Content-Type: application/grpc+proto"]) {
      const socket = await connectRaw(port);
      socket.on("data", (chunk: Buffer) => (bytes += chunk.toString()));
      socket.write(`${HEAD}${fields}\r\n\r\nx`);
      left.push(socket);
    }
    // One that is not left alone ends meanwhile.
    const stalled = await connectRaw(port);
    const ended = ending(stalled);
    stalled.write(`${HEAD}\r\nx`);
    assert.match((await ended).data.toString(), /^HTTP\/1\.1 408 /);
    stalled.destroy();
    for (const socket of left) assert.equal(socket.readableEnded || socket.destroyed, false);
    assert.doesNotMatch(bytes, /408/);
    for (const socket of left) socket.destroy();
  });

  it("whose response has been sent ends soon", async () => {
    const serve = (_request: http.IncomingMessage, response: http.ServerResponse): void =>
      void response.end("no");
    const { port } = await startStand({ progressMs: 1_000_000, leftoverMs: 50 }, serve);
    const socket = await connectRaw(port);
    const ended = ending(socket);
    socket.write(`${HEAD}\r\nx`);
    const timer = setInterval(() => socket.write("x"), 20);
    assert.match((await ended).data.toString(), /^HTTP\/1\.1 200 /);
    clearInterval(timer);
    socket.destroy();
  });
});
