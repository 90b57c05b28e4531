/** CONNECT and upgrades pipelined after requests in flight on the same connection: handled in order, or not at all. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { HALF, startHalfResponses } from "../../support/half-responses.ts";
import type { HalfResponses } from "../../support/half-responses.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const LARGE_BYTES = 8 * 1024 * 1024;

let system: System;
let target: HalfResponses;
/** The target's connection of the last request for each path. */
const connections = new Map<string, Socket>();

before(async () => {
  target = await startHalfResponses((path, { head, socket }) => {
    connections.set(path, socket);
    const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1];
    if (key !== undefined) {
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n\x81\x02hi`,
        "latin1",
      );
    } else if (path === "/large") {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE_BYTES}\r\n\r\n`);
      socket.write(Buffer.alloc(LARGE_BYTES, "x"));
    } else if (path === "/tunnelled") socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ninside");
  });
  system = await startSystem({ tls: true, target });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

function get(path: string, fields = "", version = "1.1"): string {
  return `GET ${path} HTTP/${version}\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n${fields}\r\n`;
}

function upgrade(path: string, token: string): string {
  return get(
    path,
    `Connection: Upgrade\r\nUpgrade: ${token}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`,
  );
}

const NAME = `${TARGET}.${RUNNER}`;
const CONNECT = `CONNECT ${NAME} HTTP/1.1\r\nHost: ${NAME}\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`;

/** Sent while a response is under way, and what has to follow its body. */
const PIPELINED: Readonly<Record<string, [bytes: string, response: RegExp]>> = {
  "a CONNECT": [CONNECT, /^HTTP\/1\.1 200 Connection Established\r\n/],
  "a CONNECT without a credential": [`CONNECT ${NAME} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`, /^HTTP\/1\.1 407 /],
  "a WebSocket": [upgrade(via("/ws"), "websocket"), /^HTTP\/1\.1 101 [^]*\r\n\r\n[^\r\n]{2}hi$/],
  "a WebSocket at no such path": [upgrade("/nope", "websocket"), /^HTTP\/1\.1 404 /],
  "an agent's upgrade": [
    upgrade("/api/v1/revdial?runnerid=other", "ptth"),
    /^HTTP\/1\.1 101 [^]*\r\n\r\nPRI \* HTTP\/2\.0\r\n/,
  ],
  "an agent's upgrade without its runners": [upgrade("/api/v1/revdial", "ptth"), /^HTTP\/1\.1 400 /],
  "a hundred CONNECTs": [
    CONNECT.repeat(100),
    /^HTTP\/1\.1 200 Connection Established\r\n(?:[^\r\n]+\r\n)+\r\n$/,
  ],
};

for (const kind of ["plaintext", "TLS"] as const) {
  describe(`on ${kind}`, () => {
    async function open(): Promise<{ socket: Socket; text: () => string }> {
      const ca = kind === "TLS" ? system.pki?.ca : undefined;
      const socket = await connectRaw(system.controlPlane.port, { ca });
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      return { socket, text: () => text };
    }

    async function close(socket: Socket): Promise<void> {
      socket.destroy();
      if (!socket.closed) await next(socket, "close");
    }

    for (const [what, [bytes, response]] of Object.entries(PIPELINED)) {
      it(`${what} is handled after the body that is under way`, async () => {
        const { socket, text } = await open();
        const before = target.heads.length;
        socket.write(get(via("/length")) + bytes);
        await eventually(() => text().includes(HALF), "the first half");
        assert.equal(target.heads.length, before + 1);
        target.finish();
        const behind = () => text().slice(text().indexOf("\r\n\r\n") + 4 + 2 * HALF.length);
        await eventually(() => response.test(behind()), `the response, but got ${JSON.stringify(text())}`);
        assert.ok(text().includes(`\r\n\r\n${HALF}${HALF}HTTP/1.1 `), text());
        await close(socket);
      });
    }

    it("keeps the order after several requests, of which the first has a body", async () => {
      const { socket, text } = await open();
      const body = get(via("/length"), "Expect: 100-continue\r\nContent-Length: 3\r\n");
      socket.write(`${body}abc${get("/healthz")}${get("/openapi.json")}${CONNECT}`);
      await eventually(() => text().includes(HALF), "the first half");
      target.finish();
      await eventually(() => text().includes("Connection Established"), "the tunnel");
      const statuses = [...text().matchAll(/HTTP\/1\.1 (\d{3} \w+)/g)].map(([, status]) => status);
      assert.deepEqual(statuses, ["100 Continue", "200 OK", "200 OK", "200 OK", "200 Connection"]);
      await close(socket);
    });

    it("a large body for a slow reader arrives whole, and the tunnel carries what was sent early", async () => {
      const { socket, text } = await open();
      socket.pause();
      socket.write(get(via("/large")) + CONNECT + "GET /tunnelled HTTP/1.1\r\nHost: x\r\n\r\n");
      await eventually(() => target.heads.at(-1)?.startsWith("GET /large") === true, "the request");
      socket.resume();
      await eventually(() => text().endsWith("inside"), "the response within the tunnel");
      const at = text().indexOf("\r\n\r\n") + 4;
      assert.equal(text().indexOf("HTTP/1.1 200 Connection Established", at) - at, LARGE_BYTES);
      await close(socket);
    });

    it("nothing is handled after a refusal that closes the connection", async () => {
      for (const [first, status] of [
        ["GET / HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
        [get("/healthz", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), /^HTTP\/1\.1 200 /],
      ] as const) {
        for (const behind of [CONNECT, upgrade("/api/v1/revdial?runnerid=other", "ptth"), get("/healthz")]) {
          const { socket, text } = await open();
          const ended = ending(socket);
          socket.write(first + behind);
          assert.equal((await ended).kind, "end");
          assert.match(text(), status);
          assert.equal(text().split("HTTP/1.1 ").length, 2, text());
          await close(socket);
        }
      }
    });

    it("on HTTP/1.0 without keep-alive, and after Connection: close, the connection ends instead", async () => {
      for (const first of [get(via("/length"), "", "1.0"), get(via("/length"), "Connection: close\r\n")]) {
        const { socket, text } = await open();
        socket.write(first + CONNECT);
        const ended = ending(socket);
        await eventually(() => text().includes(HALF), "the first half");
        target.finish();
        assert.equal((await ended).kind, "end");
        assert.ok(text().endsWith(HALF + HALF), text());
        await close(socket);
      }
    });

    it("on HTTP/1.0 that is kept alive the order is kept", async () => {
      const { socket, text } = await open();
      socket.write(get(via("/length"), "Connection: keep-alive\r\n", "1.0") + CONNECT);
      await eventually(() => text().includes(HALF), "the first half");
      target.finish();
      await eventually(() => text().includes("x".repeat(100)), "the whole body");
      await eventually(
        () => text().includes("Connection Established") || socket.readableEnded,
        "the tunnel, or the end",
      );
      await close(socket);
    });

    it("a caller that leaves takes its waiting CONNECT and requests, and the one under way, with it", async () => {
      const { socket, text } = await open();
      const before = target.heads.length;
      socket.write(get(via("/length")) + get(via("/silent")) + CONNECT);
      await eventually(() => text().includes(HALF), "the first half");
      const connectionCount = target.connections();
      await close(socket);
      await eventually(
        () => connections.get("/length")?.destroyed === true,
        "the request's connection closed",
      );
      assert.equal(target.heads.length, before + 1);
      assert.equal(target.connections(), connectionCount);
    });
  });
}
