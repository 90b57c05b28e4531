/**
 * Traps of one port for everything: bytes that were read to tell protocols apart must go back; a preface may come byte by
 * byte; a silent peer needs a timer; an http.Server that never listens has no time limits of its own.
 * Guard: src/control/listener/sniff.ts, first-bytes.ts and port.ts.
 */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { after, describe, it, mock } from "node:test";
import tls from "node:tls";
import { SNIFF_TIMEOUT_MS } from "../../src/control/limits.ts";
import { ending, next, turn } from "../support/events.ts";
import { call, bodyOf } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";

after(() => assertNothingOpen());

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

function raw(system: System): net.Socket {
  const socket = net.connect({
    port: system.controlPlane.port,
    host: "127.0.0.1",
    noDelay: true,
    allowHalfOpen: true,
  });
  socket.on("error", () => {});
  return socket;
}

async function http2Health(url: string, options: http2.SecureClientSessionOptions = {}): Promise<string> {
  const session = http2.connect(url, options);
  const stream = session.request({ ":path": "/healthz" });
  const { data } = await ending(stream);
  session.close();
  await next(session, "close");
  return data.toString();
}

describe("one port", () => {
  it("speaks HTTP/1.1 and HTTP/2 in plaintext and over TLS", async () => {
    await using system = await startSystem({ tls: true, agent: { carrier: "rh2" } });
    const plain = `http://127.0.0.1:${system.controlPlane.port}`;
    const ca = system.pki?.ca ?? "";
    assert.equal((await call(`${plain}/healthz`)).body, "ok\n");
    assert.equal((await call(`${system.url}/healthz`, { ca })).body, "ok\n");
    assert.equal(await http2Health(plain), "ok\n");
    assert.equal(await http2Health(system.url, { ca }), "ok\n");
  });

  it("refuses an unknown ALPN with an alert", async () => {
    await using system = await startSystem({ tls: true });
    const socket = tls.connect({
      port: system.controlPlane.port,
      host: "127.0.0.1",
      ca: system.pki?.ca ?? "",
      ALPNProtocols: ["bogus"],
    });
    await assert.rejects(next(socket, "secureConnect"), /no application protocol/i);
  });

  it("knows a preface that comes byte by byte", async () => {
    await using system = await startSystem({ agents: 0 });
    const socket = raw(system);
    for (const byte of PREFACE) {
      socket.write(Buffer.from([byte]));
      await turn(2);
    }
    socket.write(EMPTY_SETTINGS);
    const [response] = await next<[Buffer]>(socket, "data");
    assert.equal(response[3], 4); // a SETTINGS frame
    socket.destroy();
  });

  it("responds to a request that comes byte by byte, and to a caller that half-closes after it", async () => {
    await using system = await startSystem({ agents: 0 });
    const socket = raw(system);
    for (const byte of Buffer.from("GET /healthz HTTP/1.0\r\n\r\n")) {
      socket.write(Buffer.from([byte]));
      await turn();
    }
    socket.end();
    assert.match((await ending(socket)).data.toString(), /^HTTP\/1\.1 200 [^]*ok\n$/);
  });

  it("responds to garbage with 400 and closes", async () => {
    await using system = await startSystem({ agents: 0 });
    for (const garbage of [
      "\u0000\u0001\u0002garbage\r\n\r\n",
      "PRI * HTTP/2.0\r\nX",
      "GET",
      "\u0016\u0003",
    ]) {
      const socket = raw(system);
      const end = ending(socket);
      socket.end(garbage, "latin1");
      assert.match((await end).data.toString() || "HTTP/1.1 400 ", /^HTTP\/1\.1 400 /);
      socket.destroy();
    }
    assert.equal((await call(`${system.url}/healthz`)).body, "ok\n");
  });

  it("closes a peer that says nothing, or not enough", async () => {
    await using system = await startSystem({
      agents: 0,
      controlPlane: { trustedProxies: ["127.0.0.1"], proxyProtocol: "allow" },
    });
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      for (const few of ["", "PRI * HT", "PROXY TCP4 203.0.113.9"]) {
        const socket = raw(system);
        const accepted = new Promise((resolve) => void socket.once("connect", resolve));
        await accepted;
        if (few !== "") socket.write(few);
        await turn(10);
        const closed = new Promise((resolve) => void socket.once("close", resolve));
        socket.on("end", () => socket.end());
        socket.resume();
        mock.timers.tick(SNIFF_TIMEOUT_MS + 1);
        await closed;
      }
    } finally {
      mock.timers.reset();
    }
  });

  it("handles curl's `Upgrade: h2c` as the ordinary request that it also is", async () => {
    await using system = await startSystem({ agents: 0 });
    const request = http.get(`${system.url}/healthz`, {
      agent: false,
      headers: {
        connection: "Upgrade, HTTP2-Settings",
        upgrade: "h2c",
        "http2-settings": "AAMAAABkAAQAAP__",
      },
    });
    const [response] = await next<[http.IncomingMessage]>(request, "response");
    assert.equal(await bodyOf(response), "ok\n");
  });
});
