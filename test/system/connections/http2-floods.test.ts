/**
 * An HTTP/2 peer that sends frames without end loses its connection, whatever they are, and others are served; a busy and
 * honest one is left alone. The peer is a caller, an agent, a control plane or a target.
 */
import assert from "node:assert/strict";
import http2 from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { openCaller, via } from "../../support/callers.ts";
import { eventually, next, within } from "../../support/events.ts";
import {
  dataFrame,
  encodeFrame,
  FLAG,
  FRAME,
  FrameClient,
  headersFrame,
  rstFrame,
  uint32,
} from "../../support/http2-frames.ts";
import type { Field } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

const CANCEL = 8;
const PRIORITY = 2;
const UNKNOWN = 0x99;
const NOTHING = Buffer.alloc(0);
/** Far above what is allowed at once. */
const FLOOD_BYTES = 24 * 1024 * 1024;

let system: System;

before(async () => {
  const target = await startHttpTarget((request, response) => {
    if (request.method === "POST" && request.url === "/held") return; // responds never
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.length));
    request.on("end", () => response.end(request.url === "/large" ? Buffer.alloc(4_000_000) : String(bytes)));
  });
  system = await startSystem({ target, tls: true });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

function fields(method: string, path: string): Field[] {
  return [
    [":method", method],
    [":scheme", "http"],
    [":path", path],
    [":authority", "x"],
    ["authorization", `Bearer ${ADMIN_TOKEN}`],
  ];
}

/** Frames of one kind, again and again. */
type Flood = (n: number) => Buffer;

const HELD = headersFrame(1, fields("POST", via("/held")), false);

const FLOODS: Readonly<Record<string, { first?: Buffer; frame: Flood }>> = {
  PING: { frame: () => encodeFrame(FRAME.PING, 0, 0, Buffer.alloc(8)) },
  SETTINGS: { frame: () => encodeFrame(FRAME.SETTINGS, 0, 0, NOTHING) },
  "WINDOW_UPDATE of a stream": {
    first: HELD,
    frame: () => encodeFrame(FRAME.WINDOW_UPDATE, 0, 1, uint32(1)),
  },
  "WINDOW_UPDATE of the connection": { frame: () => encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1)) },
  "empty DATA": { first: HELD, frame: () => dataFrame(1, "") },
  "DATA of one byte": { first: HELD, frame: () => dataFrame(1, "x") },
  "DATA of padding": {
    first: HELD,
    frame: () => encodeFrame(FRAME.DATA, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)])),
  },
  PRIORITY: { frame: (n) => encodeFrame(PRIORITY, 0, 2 * n + 1, Buffer.from([0, 0, 0, 0, 16])) },
  "an unknown frame": { frame: () => encodeFrame(UNKNOWN, 0, 0, NOTHING) },
  "rapid resets": {
    frame: (n) =>
      Buffer.concat([headersFrame(2 * n + 1, fields("GET", "/healthz"), true), rstFrame(2 * n + 1, CANCEL)]),
  },
  "requests that make us reset them": {
    frame: (n) =>
      Buffer.concat([
        headersFrame(2 * n + 1, fields("POST", via("/held")), false),
        encodeFrame(FRAME.WINDOW_UPDATE, 0, 2 * n + 1, uint32(0)),
      ]),
  },
  "header blocks of references to a large field": {
    first: headersFrame(1, [...fields("GET", "/healthz")], true),
    frame: (n) => {
      const large = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0x81, 0x1d]), Buffer.alloc(3_840, "a")]);
      const block = Buffer.concat([n === 2 ? large : NOTHING, Buffer.alloc(8_000, 0xbe)]);
      return encodeFrame(FRAME.HEADERS, FLAG.END_STREAM | FLAG.END_HEADERS, 2 * n + 1, block);
    },
  },
};

/** Writes as fast as the peer reads, until it has closed or enough was sent. */
async function flood(socket: Socket, frame: Flood): Promise<void> {
  let n = 1;
  for (let sent = 0; sent < FLOOD_BYTES && !socket.destroyed && socket.writable;) {
    const frames: Buffer[] = [];
    for (let bytes = 0; bytes < 32 * 1024;) {
      n += 1;
      const next = frame(n);
      frames.push(next);
      bytes += next.length;
    }
    const block = Buffer.concat(frames);
    sent += block.length;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.write(block, () => resolve());
    socket.once("close", resolve);
    await promise;
    socket.off("close", resolve);
  }
}

for (const kind of ["plaintext", "TLS"] as const) {
  describe(`a caller on ${kind} that floods its connection`, () => {
    for (const [what, { first = NOTHING, frame }] of Object.entries(FLOODS)) {
      // One kind of encryption is enough for most: the bytes are counted above it.
      if (kind === "TLS" && !what.startsWith("WINDOW_UPDATE of a")) continue;
      it(`with ${what} loses it, and another is served meanwhile`, async () => {
        const socket = await connectCaller(kind);
        const client = await FrameClient.open(socket);
        if (first.length > 0) client.write(first);
        const ended = client.until(({ type }) => type === FRAME.GOAWAY).catch(() => undefined);
        const flooding = flood(socket, frame);
        await using caller = await openCaller("HTTP/2 by prior knowledge", system);
        for (let i = 0; i < 3; i += 1) assert.equal((await caller.call({ path: via("/") })).status, 200);
        const goaway = await ended;
        await flooding;
        // Some floods are noticed by nghttp2 first, which has codes of its own.
        if (goaway !== undefined) assert.notEqual(goaway.payload.readUInt32BE(4), 0);
        await eventually(() => socket.destroyed || !socket.writable, "the end of the connection");
        socket.destroy();
        assert.equal((await caller.call({ path: via("/") })).status, 200);
      });
    }
  });
}

async function connectCaller(kind: "plaintext" | "TLS"): Promise<Socket> {
  if (kind === "plaintext") return connectRaw(system.controlPlane.port);
  const { connect } = await import("node:tls");
  const socket = connect({
    port: system.controlPlane.port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: system.pki?.ca,
    ALPNProtocols: ["h2"],
  });
  socket.on("error", () => {}); // permanent
  await next(socket, "secureConnect");
  return socket;
}

describe("an honest caller", () => {
  function connect(): ClientHttp2Session {
    const session = http2.connect(`http://127.0.0.1:${system.controlPlane.port}`, {
      settings: { initialWindowSize: 65_535 },
    });
    session.on("error", () => {}); // permanent
    return session;
  }

  async function request(session: ClientHttp2Session, path: string, body?: Buffer): Promise<string> {
    const method = body === undefined ? "GET" : "POST";
    const stream = session.request(Object.fromEntries(fields(method, path)), {
      endStream: body === undefined,
    });
    if (body !== undefined) stream.end(body);
    let text = "";
    stream.setEncoding("latin1");
    stream.on("data", (chunk: string) => (text += chunk));
    await next(stream, "end");
    return text;
  }

  it("is left alone after many requests, uploads and downloads", async () => {
    const session = connect();
    const body = Buffer.alloc(2_000_000);
    for (let round = 0; round < 2; round += 1) {
      const downloads = Array.from({ length: 2 }, () => request(session, via("/large")));
      const uploads = Array.from({ length: 4 }, () => request(session, via("/upload"), body));
      const small = Array.from({ length: 100 }, () => request(session, via("/small"), Buffer.from("x")));
      for (const text of await within(Promise.all(downloads), "downloads"))
        assert.equal(text.length, 4_000_000);
      for (const text of await within(Promise.all(uploads), "uploads")) assert.equal(text, "2000000");
      for (const text of await within(Promise.all(small), "small requests")) assert.equal(text, "1");
    }
    assert.equal(session.destroyed, false);
    session.close();
  });

  it("is left alone when its uploads are refused while they are under way", async () => {
    const session = connect();
    for (let round = 0; round < 4; round += 1) {
      const stream = session.request({ ":method": "POST", ":path": via("/upload") });
      stream.on("error", () => {}); // permanent: the rest of the body is refused
      stream.end(Buffer.alloc(3_000_000));
      const [headers] = await next<[http2.IncomingHttpHeaders]>(stream, "response");
      assert.equal(headers[":status"], 401);
      stream.resume();
      if (!stream.closed) await next(stream, "close");
    }
    assert.equal(await request(session, via("/small"), Buffer.from("x")), "1");
    session.close();
  });
});
