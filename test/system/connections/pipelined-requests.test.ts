/** Pipelined requests of one connection are served in order and in turns with other connections, and few are parsed ahead. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { MAX_PIPELINED_REQUESTS, REQUEST_PIECE_BYTES } from "../../../src/control/connections/limits.ts";
import { openCaller } from "../../support/callers.ts";
import { ending, eventually, next, turn } from "../../support/events.ts";
import { startPacedServer } from "../../support/paced-server.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

const REQUESTS = 1_000;
const SHORTEST = "GET / HTTP/1.1\r\nHost:x\r\n\r\n";

let system: System;

before(async () => {
  system = await startSystem({ tls: true });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

function statusesOf(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status = ""]) => status);
}

for (const kind of ["plaintext", "TLS"] as const) {
  describe(`on ${kind}`, () => {
    const open = (): Promise<Socket> =>
      connectRaw(system.controlPlane.port, { ca: kind === "TLS" ? system.pki?.ca : undefined });

    for (const [path, status] of [
      ["/openapi.json", "200"],
      ["/api/v1/runners", "401"],
      ["/nowhere", "404"],
    ] as const) {
      it(`another caller is served before ${REQUESTS} requests of ${path} are`, async () => {
        const socket = await open();
        let text = "";
        socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
        await using caller = await openCaller("HTTP/1.1", system);
        socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(REQUESTS));
        await eventually(() => text.length > 0, "the first response");
        const before = statusesOf(text).length;
        assert.equal((await caller.call({ path: "/healthz", bodyless: true })).status, 200);
        const during = statusesOf(text).length;
        assert.ok(during < REQUESTS, `all responses had been sent; ${before} at the request`);
        socket.destroy();
      });

      it(`every one of them gets its response (${path})`, async () => {
        const socket = await open();
        const ended = ending(socket);
        const one = `GET ${path} HTTP/1.1\r\nHost: x\r\n`;
        socket.write(`${`${one}\r\n`.repeat(100)}${one}Connection: close\r\n\r\n`);
        const { data } = await ended;
        socket.destroy();
        assert.deepEqual(
          statusesOf(data.toString("latin1")),
          Array.from({ length: 101 }, () => status),
        );
      });
    }
  });
}

describe("a connection that pipelines", () => {
  it("is not read on while its requests wait for a response", async () => {
    await using server = await startPacedServer(() => {}); // never responds
    const socket = await connectRaw(server.port);
    socket.write(SHORTEST.repeat(200_000));
    await eventually(() => server.parsed() > MAX_PIPELINED_REQUESTS, "the first requests");
    const { port } = server;
    for (let n = 0; n < 20; n += 1) {
      const other = await connectRaw(port);
      other.destroy();
    }
    const most = MAX_PIPELINED_REQUESTS + Math.ceil(REQUEST_PIECE_BYTES / SHORTEST.length) + 1;
    assert.ok(server.parsed() <= most, `${server.parsed()} parsed`);
    socket.destroy();
  });

  it("has one request served at a time, in order", async () => {
    const served: string[] = [];
    let most = 0;
    let atWork = 0;
    await using server = await startPacedServer((request, response) => {
      atWork += 1;
      most = Math.max(most, atWork);
      served.push(request.url ?? "");
      setImmediate(() => {
        atWork -= 1;
        response.end("ok");
      });
    });
    const paths = Array.from({ length: 300 }, (_, i) => `/${i}`);
    const socket = await connectRaw(server.port);
    const ended = ending(socket);
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    socket.write(`${requests.join("")}GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const { data } = await ended;
    socket.destroy();
    assert.equal(statusesOf(data.toString("latin1")).length, 301);
    assert.deepEqual(served, [...paths, "/last"]);
    assert.equal(most, 1);
  });

  it("and leaves has no further request served", async () => {
    let served = 0;
    const first = Promise.withResolvers<() => void>();
    await using server = await startPacedServer((_request, response) => {
      served += 1;
      first.resolve(() => response.end("ok"));
    });
    const socket = await connectRaw(server.port);
    socket.write(SHORTEST.repeat(10));
    const respond = await first.promise;
    socket.resetAndDestroy();
    if (!socket.closed) await next(socket, "close");
    const other = await connectRaw(server.port);
    other.destroy();
    await turn(20);
    respond();
    await turn(20);
    assert.equal(served, 1);
  });
});

describe("a body", () => {
  it("in chunks of one byte does not keep others waiting, and arrives whole", async () => {
    const chunks = 300_000;
    let received = 0;
    let isComplete = false;
    await using server = await startPacedServer((request, response) => {
      if (request.method === "GET") return void response.end("ok");
      request.on("data", (chunk: Buffer) => (received += chunk.length));
      request.on("end", () => {
        isComplete = true;
        response.end("done");
      });
    });
    const socket = await connectRaw(server.port);
    const ended = ending(socket);
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.write("1\r\na\r\n".repeat(chunks));
    socket.write("0\r\n\r\n");
    await eventually(() => received > 0, "the first chunk");
    const other = await connectRaw(server.port);
    other.write(SHORTEST);
    await next(other, "data");
    assert.equal(isComplete, false);
    other.destroy();
    assert.match((await ended).data.toString(), /done$/);
    assert.equal(received, chunks);
    socket.destroy();
  });

  it("of many megabytes arrives whole, with a request behind it", async () => {
    const body = Buffer.alloc(16 * 1024 * 1024, "body ");
    const sizes: number[] = [];
    await using server = await startPacedServer((request, response) => {
      let size = 0;
      request.on("data", (chunk: Buffer) => (size += chunk.length));
      request.on("end", () => {
        sizes.push(size);
        response.end("ok");
      });
    });
    const socket = await connectRaw(server.port);
    const ended = ending(socket);
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert.equal(statusesOf((await ended).data.toString("latin1")).length, 2);
    assert.deepEqual(sizes, [body.length, 0]);
    socket.destroy();
  });
});
