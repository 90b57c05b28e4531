/** Moonlight Web's signalling, its failures, and the double's own echo. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import { moonlightInit } from "../../../test/support/moonlight-init.ts";
import { createMoonlightDouble } from "./double.ts";
import type { MoonlightDouble } from "./double.ts";

/** RFC 6455 §7.1.5: close code of a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 1006;
/** The same section: a close frame without a code. */
const NO_STATUS = 1005;

const init = moonlightInit("helix");

let moonlight: MoonlightDouble;

beforeEach(async () => {
  moonlight = await createMoonlightDouble({ credentials: "helix" });
});

afterEach(async () => {
  await moonlight.close();
  assert.equal(moonlight.openConnections, 0);
  assert.equal(moonlight.openWebSockets, 0);
});

/** Collects messages from the very first on, so that none is lost between two awaits. */
class Caller {
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly #messages: unknown[] = [];
  #wake: (() => void) | undefined;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("message", (data: Buffer) => {
      this.#messages.push(JSON.parse(data.toString("utf8")));
      this.#wake?.();
    });
    this.closed = once(socket, "close").then(([code]) => Number(code));
  }

  async next(): Promise<unknown> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#messages.shift();
  }

  async until(tag: string): Promise<unknown[]> {
    const seen: unknown[] = [];
    for (;;) {
      const message = await this.next();
      seen.push(message);
      if (typeof message === "object" && message !== null && tag in message) return seen;
    }
  }
}

async function open(path: string, protocols: string[] = [], options: ClientOptions = {}): Promise<WebSocket> {
  const socket = new WebSocket(moonlight.url.replace("http", "ws") + path, protocols, options);
  await once(socket, "open");
  return socket;
}

async function stream(fields: object = {}): Promise<Caller> {
  const caller = new Caller(await open("/api/host/stream"));
  caller.socket.send(JSON.stringify({ AuthenticateAndInit: { ...init, ...fields } }));
  return caller;
}

test("opens a stream in Moonlight's order", async () => {
  const caller = await stream();
  const messages = await caller.until("ConnectionComplete");
  assert.deepEqual(messages.slice(0, 2), [
    { UpdateApp: { app: { app_id: 134_906_179, title: "Wolf UI", is_hdr_supported: false } } },
    { StageComplete: { stage: "Launch Streamer" } },
  ]);
  assert.ok("WebRtcConfig" in (messages[2] as object));
  assert.deepEqual(messages.slice(3, 5), [
    { StageStarting: { stage: "RTSP handshake" } },
    { StageComplete: { stage: "RTSP handshake" } },
  ]);
  assert.deepEqual(messages.at(-1), {
    ConnectionComplete: { capabilities: { touch: true }, width: 1_280, height: 720, client_id: null },
  });
  caller.socket.close();
  await caller.closed;
  assert.equal(moonlight.controlFrames.length, 0);
});

test("answers an offer and echoes candidates", async () => {
  const caller = await stream();
  await caller.until("ConnectionComplete");
  const offer = { ty: "offer", sdp: "v=0\r\na=setup:actpass\r\n" };
  caller.socket.send(JSON.stringify({ Signaling: { Description: offer } }));
  assert.deepEqual(await caller.next(), {
    Signaling: { Description: { ty: "answer", sdp: "v=0\r\na=setup:active\r\n" } },
  });
  assert.ok("Signaling" in ((await caller.next()) as object));
  const candidate = { candidate: "c", sdp_mid: "0", sdp_mline_index: 0, username_fragment: null };
  caller.socket.send(JSON.stringify({ Signaling: { AddIceCandidate: candidate } }));
  assert.deepEqual(await caller.next(), { Signaling: { AddIceCandidate: candidate } });
  caller.socket.terminate();
});

const deaths: [string, (socket: WebSocket) => void, string[]][] = [
  ["a ping", (socket) => socket.ping("p"), ["ping"]],
  ["a pong", (socket) => socket.pong("p"), ["pong"]],
  ["a binary message", (socket) => socket.send(Buffer.from("{}")), []],
  ["a fragmented message", (socket) => socket.send("{}", { fin: false }), []],
];

for (const [what, kill, recorded] of deaths) {
  test(`dies of ${what}, without a close frame and without a pong`, async () => {
    const caller = await stream();
    await caller.until("ConnectionComplete");
    let ponged = false;
    caller.socket.on("pong", () => (ponged = true));
    kill(caller.socket);
    assert.equal(await caller.closed, NO_CLOSE_FRAME);
    assert.equal(ponged, false);
    assert.deepEqual(
      moonlight.controlFrames.map(({ kind }) => kind),
      recorded,
    );
  });
}

test("survives text messages of every length encoding", async () => {
  const caller = await stream();
  await caller.until("ConnectionComplete");
  for (const length of [1, 125, 126, 65_535, 65_536, 200_000]) {
    caller.socket.send(JSON.stringify({ ignored: "x".repeat(length) }));
  }
  caller.socket.send(JSON.stringify({ Signaling: { AddIceCandidate: { candidate: "last" } } }));
  assert.deepEqual(await caller.next(), { Signaling: { AddIceCandidate: { candidate: "last" } } });
  caller.socket.close();
  assert.equal(await caller.closed, NO_STATUS);
});

test("drops wrong credentials and nonsense without a close frame", async () => {
  assert.equal(await (await stream({ credentials: "guess" })).closed, NO_CLOSE_FRAME);
  const nonsense = new Caller(await open("/api/host/stream"));
  nonsense.socket.send("hello");
  assert.equal(await nonsense.closed, NO_CLOSE_FRAME);
  const early = new Caller(await open("/api/host/stream"));
  early.socket.send(JSON.stringify({ Signaling: {} }));
  assert.equal(await early.closed, NO_STATUS);
});

test("names the reason if there is no stream", async () => {
  const refusals: [object, string][] = [
    [{ host_id: 7 }, "HostNotFound"],
    [{ host_id: 1 }, "HostNotPaired"],
    [{ app_id: 7 }, "AppNotFound"],
    [{ mode: "join" }, "SessionNotFound"],
  ];
  for (const [fields, word] of refusals) {
    const caller = await stream(fields);
    assert.equal(await caller.next(), word);
    assert.equal(await caller.closed, NO_STATUS);
  }
  assert.equal(moonlight.state.streams.size, 0);
});

test("a session has one viewer: create is refused, join replaces the other viewer", async () => {
  const first = await stream();
  await first.until("ConnectionComplete");
  const second = await stream();
  assert.equal(await second.next(), "AlreadyStreaming");
  await second.closed;
  const third = await stream({ mode: "join" });
  assert.equal(await first.next(), "ClientKicked");
  await first.closed;
  // The double sees these closes on its own time; a round trip each gives it that.
  while (moonlight.openWebSockets > 1) await fetch(`${moonlight.url}/`, { headers: { connection: "close" } });
  assert.equal(moonlight.state.streams.size, 1);
  assert.notEqual(moonlight.state.streams.get("agent-ses_01")?.detach, undefined);
  third.socket.close();
  await third.closed;
  await moonlight.whenIdle();
  assert.equal(moonlight.state.streams.size, 0);
});

test("a kept-alive session outlives its socket until the host is cancelled", async () => {
  const caller = await stream({ mode: "keepalive" });
  await caller.until("ConnectionComplete");
  caller.socket.close();
  await caller.closed;
  await moonlight.whenIdle();
  assert.equal(moonlight.state.streams.size, 1);
  const again = await stream({ mode: "join" });
  // Only a round trip shows that the join has been read.
  again.socket.send(JSON.stringify({ Signaling: { AddIceCandidate: {} } }));
  await again.next();
  await fetch(`${moonlight.url}/api/host/cancel`, {
    method: "POST",
    headers: { authorization: "Bearer helix", connection: "close" },
    body: '{"host_id":0}',
  });
  assert.deepEqual(await again.next(), { ConnectionTerminated: { error_code: 0 } });
  await again.closed;
  assert.equal(moonlight.state.streams.size, 0);
});

test("echoes text and binary, responds to pings and records them", async () => {
  const socket = await open("/api/ws/echo?a=1", ["one", "two"]);
  assert.equal(socket.protocol, "one");
  assert.match(socket.extensions, /permessage-deflate/);
  const big = Buffer.alloc(16 * 1024 * 1024, 7);
  for (const [message, isBinary] of [
    ["text", false],
    [big, true],
    ["", false],
  ] as const) {
    socket.send(message);
    const [data, binary] = (await once(socket, "message")) as [Buffer, boolean];
    assert.equal(binary, isBinary);
    assert.ok(data.equals(Buffer.from(message)));
  }
  socket.ping("are you there");
  const [pong] = (await once(socket, "pong")) as [Buffer];
  assert.equal(String(pong), "are you there");
  assert.deepEqual(
    moonlight.controlFrames.map(({ path, kind, payload }) => [path, kind, String(payload)]),
    [["/api/ws/echo?a=1", "ping", "are you there"]],
  );
  socket.send("close:4000:enough of this");
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  assert.equal(code, 4_000);
  assert.equal(String(reason), "enough of this");
});

test("echoes a close command that does not fit into a frame", async () => {
  const socket = await open("/api/ws/echo", [], { perMessageDeflate: false });
  assert.equal(socket.extensions, "");
  for (const order of ["close:1005:x", `close:4000:${"x".repeat(124)}`]) {
    socket.send(order);
    const [data] = (await once(socket, "message")) as [Buffer];
    assert.equal(String(data), order);
  }
  socket.terminate();
});

test("ends an echo that is larger than 16 MiB", async () => {
  const socket = await open("/api/ws/echo", [], { perMessageDeflate: false });
  socket.on("error", () => {});
  socket.send(Buffer.alloc(16 * 1024 * 1024 + 1));
  const [code] = (await once(socket, "close")) as [number];
  assert.equal(code, 1_009);
});

test("refuses a handshake with the requested status", async () => {
  for (const [path, expected] of [
    ["/api/ws/refuse?status=418", 418],
    ["/api/ws/refuse", 404],
    ["/api/nowhere", 404],
    ["//", 404],
  ] as const) {
    const socket = new WebSocket(moonlight.url.replace("http", "ws") + path);
    socket.on("error", () => {});
    const [, response] = (await once(socket, "unexpected-response")) as [
      unknown,
      import("node:http").IncomingMessage,
    ];
    assert.equal(response.statusCode, expected);
    assert.equal(response.headers["content-type"], "application/json");
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    assert.deepEqual(JSON.parse(String(Buffer.concat(chunks))), {
      error: "refused by the double",
      status: expected,
    });
  }
});
