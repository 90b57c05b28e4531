/** Floods that one caller may send: what each is, and the bytes of it. */
import net from "node:net";
import { dataFrame, encodeFrame, FLAG, FRAME, rstFrame, uint32 } from "../../support/http2-frames.ts";
import { limitUnsentBytes } from "../../../src/wire/system/unsent-bytes.ts";
import { headers } from "../../fuzz/http2-garbage.ts";
import { RUNNER } from "../names.ts";

/** A connection of the flood: it is sent `first`, then `next()` again and again as fast as it is read. */
interface Flood {
  connections: number;
  http2?: boolean;
  /** It does not read what comes back. */
  isDeaf?: boolean;
  /** On HTTP/2: its windows are open. */
  reads?: boolean;
  first?: Buffer;
  /** Undefined: no more. Called once for each write. */
  next?: (round: number) => Buffer;
  /** Milliseconds between writes; by default as fast as the peer reads. */
  everyMs?: number;
  /** It is cut after so many milliseconds, and another one takes its place. */
  lifeMs?: number;
}

/** Token of the user that floods. */
export const FLOOD_TOKEN = "bench-flood-token";

const PRIORITY = 2;
const CONTINUATION = 9;
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)),
  encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)),
]);
const SETTINGS_INITIAL_WINDOW_SIZE = 4;
const MAX_WINDOW_BYTES = 0x7fffffff;
/** As the preface, with windows that take all that a flood brings in its time. */
const READING_PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  encodeFrame(
    FRAME.SETTINGS,
    0,
    0,
    Buffer.concat([Buffer.from([0, SETTINGS_INITIAL_WINDOW_SIZE]), uint32(MAX_WINDOW_BYTES)]),
  ),
  encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)),
  encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(MAX_WINDOW_BYTES - 65_535)),
]);
const BODY = Buffer.alloc(64 * 1024, "x");
const TARGETS = `/api/v1/runners/${RUNNER}/targets`;

export const FLOODS: Readonly<Record<string, Flood>> = {
  "1,000 pipelined /openapi.json": pipelined("/openapi.json", ""),
  "1,000 pipelined 404": pipelined("/nothing", ""),
  "1,000 pipelined target requests": pipelined(`${TARGETS}/http/`, bearer(FLOOD_TOKEN)),
  "wrong tokens": {
    connections: 20,
    next: (round) => Buffer.from(request("/api/v1/runners", bearer(`wrong-${round}`)).repeat(50)),
  },
  "rapid reset, /healthz": http2(4, (round) =>
    hundred(round, (id) => [get(id, "/healthz"), rstFrame(id, 8)]),
  ),
  "rapid reset, target": http2(4, (round) =>
    hundred(round, (id) => [get(id, `${TARGETS}/http/`, FLOOD_TOKEN), rstFrame(id, 8)]),
  ),
  "rapid reset by the server": http2(4, (round) =>
    hundred(round, (id) => [
      post(id, `${TARGETS}/http/`, FLOOD_TOKEN),
      encodeFrame(FRAME.WINDOW_UPDATE, 0, id, uint32(0)),
    ]),
  ),
  PING: http2(4, () => repeated(encodeFrame(FRAME.PING, 0, 0, Buffer.alloc(8)))),
  SETTINGS: http2(4, () => repeated(encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)))),
  PRIORITY: http2(4, () => repeated(encodeFrame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 16])))),
  WINDOW_UPDATE: http2(
    4,
    () => repeated(encodeFrame(FRAME.WINDOW_UPDATE, 0, 1, uint32(1))),
    post(1, `${TARGETS}/http/`, FLOOD_TOKEN),
  ),
  "empty DATA": http2(4, () => repeated(dataFrame(1, "")), post(1, `${TARGETS}/http/`, FLOOD_TOKEN)),
  CONTINUATION: http2(
    4,
    () => repeated(encodeFrame(CONTINUATION, 0, 1, Buffer.alloc(1_000, 0xbe)), 50),
    encodeFrame(FRAME.HEADERS, 0, 1, Buffer.alloc(0)),
  ),
  "HPACK, 8,000 fields of one byte": http2(4, (round) =>
    encodeFrame(
      FRAME.HEADERS,
      FLAG.END_HEADERS | FLAG.END_STREAM,
      round * 2 + 1,
      Buffer.concat([Buffer.from([0x82, 0x86, 0x84]), Buffer.alloc(8_000, 0xc0)]),
    ),
  ),
  "deaf HTTP/1, 500 downloads": {
    connections: 500,
    isDeaf: true,
    first: Buffer.from(request(`${TARGETS}/endless/`, bearer(FLOOD_TOKEN))),
  },
  "deaf HTTP/2, 20 × 250 downloads": {
    ...http2(
      20,
      undefined,
      many(250, (id) => get(id, `${TARGETS}/endless/`, FLOOD_TOKEN)),
    ),
    isDeaf: true,
  },
  "deaf, 500 tunnels": {
    connections: 500,
    isDeaf: true,
    first: Buffer.from(`CONNECT source.${RUNNER}:80 HTTP/1.1\r\nHost: x\r\nProxy-${bearer(FLOOD_TOKEN)}\r\n`),
  },
  "5 × endless 103, deaf": {
    connections: 5,
    isDeaf: true,
    first: Buffer.from(request(`${TARGETS}/interim/`, bearer(FLOOD_TOKEN))),
  },
  "deaf HTTP/2, 4 × 125 tunnels": {
    ...http2(
      4,
      undefined,
      many(125, (id) => connect(id, "source")),
    ),
    isDeaf: true,
  },
  "responses in chunks of one byte": http2(
    1,
    undefined,
    many(250, (id) => get(id, `${TARGETS}/chunks/`, FLOOD_TOKEN)),
  ),
  "responses in chunks of one byte, read": {
    ...http2(
      1,
      undefined,
      many(250, (id) => get(id, `${TARGETS}/chunks/`, FLOOD_TOKEN)),
    ),
    reads: true,
  },
  "20 HTTP/2 connections a second, 200 dials each": {
    ...http2(
      4,
      undefined,
      many(200, (id) => Buffer.concat([connect(id, "echo"), dataFrame(id, "?", true)])),
    ),
    lifeMs: 200,
  },
  "50 connections a second, 15 downloads each, cut after 400 ms": {
    ...http2(
      20,
      undefined,
      many(15, (id) => get(id, `${TARGETS}/endless/`, FLOOD_TOKEN)),
    ),
    lifeMs: 400,
  },
  "5,000 dials of absent runners": http2(
    20,
    undefined,
    many(250, (id) => get(id, `/api/v1/runners/bench-absent-${id}/targets/http/`, FLOOD_TOKEN, "wait=60")),
  ),
  "2,000 slow bodies": {
    connections: 2_000,
    first: Buffer.from(
      `POST ${TARGETS}/http/ HTTP/1.1\r\nHost: x\r\n${bearer(FLOOD_TOKEN)}Content-Length: 100000\r\n\r\n`,
    ),
    next: () => Buffer.from("a"),
    everyMs: 1_000,
  },
  "2,000 connections without a byte": { connections: 2_000 },
  "connections that ask once": {
    connections: 50,
    next: (round) => Buffer.from(round === 0 ? request("/healthz", "Connection: close\r\n") : ""),
    everyMs: 10,
  },
  // Last: node does not notice that the caller of an upload that is held back has left, so for a minute its share is taken.
  "250 uploads that the target does not read": {
    connections: 250,
    first: Buffer.from(
      `POST ${TARGETS}/deaf/ HTTP/1.1\r\nHost: x\r\n${bearer(FLOOD_TOKEN)}Content-Length: 1000000000\r\n\r\n`,
    ),
    next: () => BODY,
  },
};

/** Opens a flood; returns what ends it. */
export function openFlood(name: string, port: number): () => void {
  const flood = FLOODS[name];
  if (flood === undefined) throw new Error(`no flood ${name}`);
  const { connections, lifeMs } = flood;
  const sockets = Array.from({ length: connections }, () => openConnection(flood, port));
  let place = 0;
  const replace = (): void => {
    sockets[place % connections]?.destroy();
    sockets[place % connections] = openConnection(flood, port);
    place += 1;
  };
  const timer = lifeMs === undefined ? undefined : setInterval(replace, lifeMs / connections);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

function openConnection(flood: Flood, port: number): net.Socket {
  const { http2: isHttp2, isDeaf, reads, first, next, everyMs } = flood;
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  let round = 0;
  let timer: NodeJS.Timeout | undefined;
  socket.on("error", () => {}); // refused or ended, which is the right response to most floods
  socket.on("close", () => clearInterval(timer));
  if (isDeaf === true) socket.pause();
  else socket.resume();
  const send = (): void => {
    while (!socket.destroyed && next !== undefined) {
      const bytes = next(round);
      round += 1;
      if (bytes.length === 0 || !socket.write(bytes) || everyMs !== undefined) return;
    }
  };
  socket.once("connect", () => {
    // Its system's memory is the control plane's too, which is not so where it has a machine of its own.
    limitUnsentBytes(socket);
    if (isHttp2 === true) socket.write(reads === true ? READING_PREFACE : PREFACE);
    if (first !== undefined) socket.write(first);
    socket.on("drain", () => setImmediate(send));
    if (everyMs === undefined) send();
    else timer = setInterval(send, everyMs);
  });
  return socket;
}

function http2(connections: number, next: ((round: number) => Buffer) | undefined, first?: Buffer): Flood {
  return { connections, http2: true, ...(next && { next }), ...(first && { first }) };
}

function pipelined(path: string, fields: string): Flood {
  const once = Buffer.from(request(path, fields).repeat(1_000));
  return { connections: 20, next: (round) => (round === 0 ? once : Buffer.alloc(0)) };
}

function request(path: string, fields: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
}

function bearer(token: string): string {
  return `Authorization: Bearer ${token}\r\n`;
}

function repeated(frame: Buffer, times = 500): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => frame));
}

/** Streams 1, 3, 5, … */
function many(count: number, frame: (id: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => frame(2 * index + 1)));
}

/** A hundred streams of a round. */
function hundred(round: number, frames: (id: number) => Buffer[]): Buffer {
  return Buffer.concat(
    Array.from({ length: 100 }, (_, index) => frames(2 * (round * 100 + index) + 1)).flat(),
  );
}

function get(id: number, path: string, token?: string, prefer?: string): Buffer {
  return headers(id, requestFields("GET", path, token, prefer), true);
}

function post(id: number, path: string, token: string): Buffer {
  return headers(id, requestFields("POST", path, token), false);
}

function connect(id: number, target: string): Buffer {
  const fields: [string, string][] = [
    [":method", "CONNECT"],
    [":authority", `${target}.${RUNNER}`],
    ["proxy-authorization", `Bearer ${FLOOD_TOKEN}`],
  ];
  return headers(id, fields, false);
}

function requestFields(method: string, path: string, token?: string, prefer?: string): [string, string][] {
  return [
    [":method", method],
    [":scheme", "http"],
    [":path", path],
    [":authority", "x"],
    ...(token === undefined ? [] : [["authorization", `Bearer ${token}`] as [string, string]]),
    ...(prefer === undefined ? [] : [["prefer", prefer] as [string, string]]),
  ];
}
