/**
 * HTTP/2 sessions that end behind a header block which their peer has broken off, each followed by a collection of garbage.
 *
 *     node broken-header-block.child.ts bare ROLE CARRIER END    one way, without our guard
 *     node broken-header-block.child.ts guarded                  all of them with it; nothing may stay behind either
 *
 * `turn`: the session ends in the turn of its stream, and the garbage is collected in this turn. `write`: a write of the
 * stream is on the socket when it ends. `whole`: the same without a header block.
 */
import assert from "node:assert/strict";
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import http2 from "node:http2";
import net from "node:net";
import { Duplex } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { guardHttp2Session } from "../../src/wire/streams/end-stream.ts";
import { nativeOf } from "../../src/wire/streams/native-session.ts";
import { eventually, next, turn } from "../support/events.ts";
import { encodeFrame, FRAME, headersFrame, uint32 } from "../support/http2-frames.ts";

type Role = "client" | "server";
type Kind = "socket" | "duplex";
type End = "turn" | "write" | "whole";

interface Exchange {
  session: ClientHttp2Session | ServerHttp2Session;
  stream: ClientHttp2Stream | ServerHttp2Stream;
  /** Our end of the carrier. */
  socket: net.Socket;
  peer: net.Socket;
}

const ROUNDS = 4;
/** More than the kernel takes of a socket that nobody reads. */
const WRITES = 16;
const WRITE_BYTES = 1024 * 1024;
const MAX_WINDOW_BYTES = 0x7fff_ffff;
const INITIAL_WINDOW_SIZE = 4;
const TURNS = 4;

const isGuarded = process.argv[2] === "guarded";
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const natives: WeakRef<object>[] = [];

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** Ours are never acknowledged: what waits for that has a reference to the session. */
const settings = Buffer.concat([
  encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.from([0, INITIAL_WINDOW_SIZE, 0x7f, 0xff, 0xff, 0xff])),
  encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(MAX_WINDOW_BYTES - 65_535)),
]);
const request = headersFrame(
  1,
  [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "a"],
  ],
  false,
);
const response = headersFrame(1, [[":status", "200"]], false);
const brokenOff = Buffer.from(headersFrame(1, [["x-some-field", "v".repeat(50)]], true));
brokenOff.writeUInt8(1, 4); // END_STREAM without END_HEADERS
const ping = encodeFrame(FRAME.PING, 0, 0, Buffer.alloc(8)); // where a CONTINUATION has to be

const server = net.createServer();
server.listen(0, "127.0.0.1");
await next(server, "listening");
const { port } = server.address() as net.AddressInfo;

/** Both ends of a connection. */
async function connection(): Promise<[ours: net.Socket, theirs: net.Socket]> {
  const accepted = next<[net.Socket]>(server, "connection");
  const theirs = net.connect(port, "127.0.0.1");
  const [ours] = await accepted;
  for (const socket of [ours, theirs]) {
    socket.on("error", () => {}); // permanent
    socket.setNoDelay(true);
  }
  return [ours, theirs];
}

/** Collects garbage in the turn in which a byte arrives. */
const [collector, bell] = await connection();
collector.on("data", () => collect());

/** A carrier that is not a socket, such as a WebSocket's. */
function duplexOver(socket: net.Socket): Duplex {
  const duplex = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, callback) => void socket.write(chunk, callback),
    final: (callback) => void socket.end(callback),
    destroy: (error, callback) => {
      socket.destroy();
      callback(error);
    },
  });
  socket.on("data", (chunk: Buffer) => duplex.push(chunk) || socket.pause());
  socket.on("end", () => duplex.push(null));
  socket.on("close", () => duplex.destroy());
  duplex.on("error", () => {}); // permanent
  return duplex;
}

/** A stream of a session of ours that has had the first header block of its peer. */
async function start(role: Role, kind: Kind): Promise<Exchange> {
  const [socket, peer] = await connection();
  const carrier = kind === "socket" ? socket : duplexOver(socket);
  if (role === "server") {
    const session = http2.performServerHandshake(carrier);
    guard(session);
    peer.write(Buffer.concat([preface, settings, request]));
    const [stream] = await next<[ServerHttp2Stream]>(session, "stream");
    stream.respond();
    return { session, stream, socket, peer };
  }
  const session = http2.connect("http://a", { createConnection: () => carrier });
  guard(session);
  const stream = session.request({ ":method": "POST", ":path": "/" });
  peer.write(settings);
  await requestOn(peer);
  peer.write(response);
  await next(stream, "response");
  return { session, stream, socket, peer };
}

function guard(session: Exchange["session"]): void {
  if (isGuarded) guardHttp2Session(session);
  session.on("error", () => {}); // permanent
  const native = nativeOf(session);
  assert(native !== undefined, "node has renamed its property for the native object");
  natives.push(new WeakRef(native));
}

/** Reads as far as the request, and no further. */
async function requestOn(peer: net.Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let bytes = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let at = preface.length; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      if (bytes[at + 3] !== FRAME.HEADERS) continue;
      peer.off("data", read).pause();
      resolve();
    }
  };
  peer.on("data", read);
  await promise;
}

async function exchange(role: Role, kind: Kind, end: End): Promise<void> {
  const { session, stream, socket, peer } = await start(role, kind);
  stream.on("error", () => {}); // permanent
  stream.resume();
  const closed = new Promise<void>((resolve) => void session.once("close", resolve)); // mostly with an 'error' before
  if (end === "turn") {
    peer.resume();
    peer.write(Buffer.concat([brokenOff, ping]));
    bell.write("x");
  } else {
    for (let n = 0; n < WRITES; n += 1) stream.write(Buffer.alloc(WRITE_BYTES));
    await turn(TURNS);
    if (end === "write") peer.write(brokenOff);
    await eventually(() => socket.bytesRead === peer.bytesWritten, "the header block");
    await turn(TURNS);
    stream.destroy(new Error("given up"));
    await turn(TURNS);
    peer.resetAndDestroy();
  }
  await closed;
  peer.destroy();
  await turn(TURNS);
  collect();
}

async function run(role: Role, kind: Kind, end: End): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) await exchange(role, kind, end);
}

if (isGuarded) {
  for (const role of ["client", "server"] as const) {
    for (const kind of ["socket", "duplex"] as const) {
      for (const end of ["turn", "write", "whole"] as const) await run(role, kind, end);
    }
  }
  await eventually(() => {
    collect();
    return natives.every((native) => native.deref() === undefined);
  }, "every session freed");
} else {
  await run(process.argv[3] as Role, process.argv[4] as Kind, process.argv[5] as End);
}
process.exit(0);
