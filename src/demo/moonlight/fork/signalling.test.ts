/** The fork's signalling: its order, what ends a stream, and what leaves a dead socket open. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import { EventLog } from "../../../../test/support/event-log.ts";
import { eventually } from "../../../../test/support/events.ts";
import { moonlightInit } from "../../../../test/support/moonlight-init.ts";
import { createMoonlightDouble } from "../double.ts";
import type { MoonlightDouble } from "../double.ts";

/** RFC 6455 §7.1.5: close code of a connection that ended without a close frame. */
const NO_CLOSE_FRAME = 1006;
/** The same section: a close frame without a code. */
const NO_STATUS = 1005;

const init = moonlightInit("helix");
const OFFER = { Description: { ty: "offer", sdp: "v=0\r\na=setup:actpass\r\n" } };

let moonlight: MoonlightDouble;

beforeEach(async () => {
  moonlight = await createMoonlightDouble({ credentials: "helix" });
});

afterEach(async () => {
  await moonlight.close();
  assert.equal(moonlight.openConnections, 0);
  assert.equal(moonlight.openWebSockets, 0);
});

/** Keeps messages from the very first on, so that none is lost between two awaits. */
class Caller {
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly messages: EventLog<unknown> = new EventLog();
  readonly controlFrames: string[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("message", (data: Buffer) => this.messages.push(JSON.parse(data.toString("utf8"))));
    socket.on("ping", () => this.controlFrames.push("ping"));
    socket.on("pong", () => this.controlFrames.push("pong"));
    this.closed = once(socket, "close").then(([code]) => Number(code));
  }

  signal(signal: object): void {
    this.socket.send(JSON.stringify({ Signaling: signal }));
  }

  until(tag: string): Promise<unknown> {
    return this.messages.find((message) => tagOf(message) === tag, tag);
  }

  get tags(): string[] {
    return this.messages.all.map(tagOf);
  }
}

function tagOf(message: unknown): string {
  return typeof message === "string" ? message : (Object.keys(message as object)[0] ?? "");
}

async function open(): Promise<Caller> {
  const socket = new WebSocket(`${moonlight.url.replace("http", "ws")}/api/host/stream`);
  await once(socket, "open");
  return new Caller(socket);
}

async function stream(fields: object = {}): Promise<Caller> {
  const caller = await open();
  caller.socket.send(JSON.stringify({ AuthenticateAndInit: { ...init, ...fields } }));
  return caller;
}

/** A stream whose peers are connected. */
async function connectedStream(fields: object = {}): Promise<Caller> {
  const caller = await stream(fields);
  await caller.until("WebRtcConfig");
  caller.signal(OFFER);
  await caller.until("ConnectionComplete");
  return caller;
}

async function listed(): Promise<Record<string, unknown>[]> {
  const headers = { authorization: "Bearer helix", connection: "close" };
  const response = await fetch(`${moonlight.url}/api/sessions`, { headers });
  return ((await response.json()) as { sessions: Record<string, unknown>[] }).sessions;
}

test("opens a stream in Moonlight's order, up to the viewer's offer", async () => {
  const caller = await stream();
  await caller.messages.find((message) => JSON.stringify(message).includes("Negotiation"), "the last one");
  const [app, ...rest] = caller.messages.all;
  assert.deepEqual(app, {
    UpdateApp: { app: { app_id: 134_906_179, title: "Wolf UI", is_hdr_supported: false } },
  });
  assert.deepEqual(rest, [
    { StageStarting: { stage: "Launch Streamer" } },
    { StageComplete: { stage: "Launch Streamer" } },
    { StageStarting: { stage: "Setup WebRTC Peer" } },
    {
      WebRtcConfig: { ice_servers: [{ urls: ["stun:stun.invalid:3478"], username: "", credential: "" }] },
    },
    { StageComplete: { stage: "Setup WebRTC Peer" } },
    { StageStarting: { stage: "WebRTC Peer Negotiation" } },
  ]);
  assert.deepEqual(moonlight.controlFrames, []);
});

test("has Moonlight's own stages when the viewer is connected, and then offers its media", async () => {
  const caller = await stream();
  await caller.until("WebRtcConfig");
  const candidate = { candidate: "c", sdp_mid: "0", sdp_mline_index: 0, username_fragment: null };
  caller.signal({ AddIceCandidate: candidate });
  assert.deepEqual(await caller.until("Signaling"), { Signaling: { AddIceCandidate: candidate } });
  caller.signal(OFFER);
  await caller.messages.findNth(4, (message) => tagOf(message) === "Signaling", "the server's offer");
  const seen = caller.messages.all.slice(caller.tags.indexOf("Signaling") + 1);
  assert.deepEqual(seen[0], {
    Signaling: { Description: { ty: "answer", sdp: "v=0\r\na=setup:active\r\n" } },
  });
  const text = JSON.stringify(seen);
  const at = (stage: string, tag: string): number => text.indexOf(`{"${tag}":{"stage":"${stage}"}}`);
  assert.ok(at("RTSP handshake", "StageStarting") < at("RTSP handshake", "StageComplete"));
  assert.ok(at("name resolution", "StageComplete") < at("name resolution", "StageStarting"), "overtaken");
  assert.deepEqual(seen.at(-2), {
    ConnectionComplete: { capabilities: { touch: true }, width: 1_280, height: 720, client_id: null },
  });
  assert.match(JSON.stringify(seen.at(-1)), /"ty":"offer","sdp":"v=0/);
});

const deaths: readonly [what: string, kill: (socket: WebSocket) => void, recorded: readonly string[]][] = [
  ["a ping", (socket) => socket.ping("p"), ["ping"]],
  ["a pong", (socket) => socket.pong("p"), ["pong"]],
  ["a binary message", (socket) => socket.send(Buffer.from("{}")), []],
  ["a fragmented message", (socket) => socket.send("{}", { fin: false }), []],
  ["text that is not JSON", (socket) => socket.send("hello"), []],
  ["a message that it does not know", (socket) => socket.send('{"Later":{}}'), []],
];

for (const [what, kill, recorded] of deaths) {
  test(`ends the stream at ${what}, and leaves the connection open and silent`, async () => {
    const caller = await connectedStream();
    const before = caller.messages.length;
    kill(caller.socket);
    while ((await listed()).length > 0);
    caller.signal(OFFER);
    caller.socket.ping("still there?");
    caller.socket.close(1000);
    for (let n = 0; n < 3; n += 1) await listed(); // round trips in which anything could have come
    assert.equal(caller.messages.length, before);
    assert.deepEqual(caller.controlFrames, []);
    assert.equal(moonlight.openWebSockets, 1);
    assert.equal(caller.socket.readyState, WebSocket.CLOSING, "neither a Close nor the end has come");
    assert.deepEqual(
      moonlight.controlFrames.map(({ kind }) => kind),
      recorded,
    );
    caller.socket.terminate();
  });
}

test("leaves the socket open at a first message that it cannot parse", async () => {
  const { packet_size: _, ...incomplete } = init;
  for (const [count, text] of [
    "hello",
    '{"Later":{}}',
    JSON.stringify({ AuthenticateAndInit: incomplete }),
    JSON.stringify({ AuthenticateAndInit: { ...init, host_id: "0" } }),
    JSON.stringify({ AuthenticateAndInit: { ...init, mode: "view" } }),
  ].entries()) {
    const caller = await open();
    caller.socket.ping("this alone is ignored");
    caller.socket.send(text);
    caller.socket.send(JSON.stringify({ AuthenticateAndInit: init }));
    await eventually(() => moonlight.controlFrames.length > count, "the ping");
    assert.deepEqual(await listed(), [], text);
    assert.deepEqual([caller.messages.length, caller.socket.readyState], [0, WebSocket.OPEN], text);
    caller.socket.terminate();
  }
});

test("survives text messages of every length encoding", async () => {
  const caller = await connectedStream();
  for (const length of [1, 125, 126, 65_535, 65_536, 200_000]) {
    caller.signal({ AddIceCandidate: { candidate: "x".repeat(length) } });
    await caller.messages.find(
      (message) => JSON.stringify(message).includes(`"${"x".repeat(length)}"`),
      `${length} bytes`,
    );
  }
  assert.equal((await listed()).length, 1);
});

test("closes at wrong credentials and at a signal before the stream", async () => {
  for (const credentials of ["guess", null]) {
    const stranger = await stream({ credentials });
    assert.equal(await stranger.closed, NO_STATUS);
    assert.deepEqual(stranger.messages.all, [{ StageFailed: { stage: "Authentication", error_code: -1 } }]);
  }
  const early = await open();
  early.signal(OFFER);
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
    assert.equal(await caller.closed, NO_STATUS);
    assert.deepEqual(caller.messages.all, [word]);
  }
  assert.equal(moonlight.state.streams.size, 0);
});

test("ends a stream at its viewer's Close, without one in return", async () => {
  const caller = await connectedStream();
  caller.socket.close(1000, "bye");
  assert.equal(await caller.closed, NO_CLOSE_FRAME);
  assert.deepEqual(await listed(), []);
  const path = "/api/host/stream";
  assert.deepEqual(moonlight.closes, [{ path, code: 1_000, reason: "bye", isMasked: true }]);
  await moonlight.whenIdle();
});

test("keeps a stream whose viewer has gone without a Close, and shows it", async () => {
  const caller = await connectedStream();
  caller.socket.terminate();
  await caller.closed;
  const [left] = await listed();
  assert.deepEqual(left, {
    session_id: "agent-ses_01",
    client_unique_id: null,
    mode: "create",
    has_websocket: true,
    streamer_pid: left?.["streamer_pid"],
    streamer_alive: true,
  });
  assert.equal(typeof left["streamer_pid"], "number");
});

test("a session has one viewer: create is refused, join replaces the other viewer", async () => {
  const first = await connectedStream();
  const second = await stream();
  assert.equal(await second.closed, NO_STATUS);
  assert.deepEqual(second.messages.all, ["AlreadyStreaming"]);
  const third = await stream({ mode: "join" });
  assert.equal(await first.closed, NO_STATUS);
  assert.equal(first.messages.all.at(-1), "ClientKicked");
  await third.until("WebRtcConfig");
  assert.equal(third.messages.length, 1);
  assert.equal((await listed())[0]?.["has_websocket"], true);
  third.socket.close();
  await third.closed;
  assert.deepEqual(await listed(), []);
});

test("a kept stream has no viewer until one joins, and its entry outlives its streamer", async () => {
  const keeper = await stream({ mode: "keepalive" });
  await keeper.until("StageStarting");
  assert.deepEqual(keeper.tags, ["UpdateApp", "StageStarting"]);
  assert.equal((await listed())[0]?.["has_websocket"], false);
  const viewer = await connectedStream({ mode: "join" });
  assert.equal((await listed())[0]?.["has_websocket"], true);
  const again = await stream({ mode: "keepalive" });
  assert.equal(await again.closed, NO_STATUS);
  assert.deepEqual([again.messages.length, keeper.messages.length], [0, 2]);
  keeper.socket.close();
  await keeper.closed;
  const [entry] = await listed();
  assert.deepEqual([entry?.["streamer_alive"], entry?.["has_websocket"]], [false, false]);
  viewer.socket.terminate();
});

test("cancelling a host ends its streams with the reason", async () => {
  const viewer = await connectedStream();
  const keeper = await stream({ mode: "keepalive", session_id: "kept" });
  await keeper.until("StageStarting");
  await fetch(`${moonlight.url}/api/host/cancel`, {
    method: "POST",
    headers: {
      authorization: "Bearer helix",
      connection: "close",
      "content-type": "application/json",
    },
    body: '{"host_id":0}',
  });
  for (const caller of [viewer, keeper]) {
    assert.equal(await caller.closed, NO_STATUS);
    assert.deepEqual(caller.messages.all.at(-1), { ConnectionTerminated: { error_code: 0 } });
  }
  assert.equal(moonlight.state.streams.size, 0);
});
