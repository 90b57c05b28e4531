/**
 * A control plane and an agent in a process without any handler for uncaught errors, and callers whose bytes have been
 * changed on their way. Every connection has to end once its caller has sent everything, and a neighbour's request has
 * to work. Prints what was wrong, one line each.
 *
 *     node test/fuzz/callers.child.ts SEED COUNT
 */
import { createServer, get } from "node:http";
import net from "node:net";
import type { Socket } from "node:net";
import tls from "node:tls";
import { dataFrame, encodeFrame, FRAME } from "../support/http2-frames.ts";
import { createPki, issueServer } from "../support/pki.ts";
import { anyFrame, headers, nearlyJson, someFields } from "./http2-garbage.ts";
import { mutated } from "./mutated.ts";
import { Random } from "./random.ts";
import { Report } from "./report.ts";
import { connectAgent, endWith, listenOn, runCases, seed, startControlPlane, TOKEN } from "./stand.ts";

const AT_ONCE = 12;
const DEADLINE_MS = 30_000;
/** Callers from there may send a PROXY header. */
const PROXY_ADDRESS = "127.0.0.2";
const NEIGHBOUR_ADDRESS = "127.0.0.3";

const report = new Report();
const target = createServer((request, response) => {
  request.resume();
  response.end("whole");
});
target.on("clientError", (_error, socket) => socket.destroy());
const address = await listenOn(target);
const controlPlane = await startControlPlane(report, {
  responseTimeoutMs: 1_000,
  graceMs: 20,
  trustedProxies: [PROXY_ADDRESS],
  tls: await issueServer(await createPki()),
});
const { port } = controlPlane;
const agent = await connectAgent(controlPlane, { r: { t: address } }, { log: report.logger });

const KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const BEARER = `Authorization: Bearer ${TOKEN}\r\n`;
const HTTP1: readonly string[] = [
  `GET /api/v1/revdial?runnerid=evil HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\n${BEARER}\r\n`,
  `GET /api/v1/revdial?runnerid=evil HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}Sec-WebSocket-Protocol: turnabout.h2.v1\r\n${BEARER}\r\n`,
  `GET /api/v1/runners/r/targets/t/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}${BEARER}\r\n\x81\x85abcdhello`,
  `CONNECT t.r:80 HTTP/1.1\r\nHost: t.r\r\nProxy-${BEARER}\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  `POST /api/v1/runners/r/targets/t/x?a=b HTTP/1.1\r\nHost: x\r\n${BEARER}Transfer-Encoding: chunked\r\nTurnabout-Timeout: 1\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nForwarded: for="[2001:db8::1]:80";proto=https;host="x, y"\r\nCookie: a=b; access_token=q\r\nTE: trailers\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
  `POST /api/v1/wolf-instances/x/heartbeat HTTP/1.1\r\nHost: x\r\n${BEARER}Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{"gpus":[{"index":1}],"a":[]} `,
  `PUT /api/v1/runners/r/targets/t/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n${BEARER}Content-Length: 3\r\n\r\nabc`,
  `GET http://t.r:80/x?y HTTP/1.1\r\nHost: t.r\r\nProxy-Authorization: Basic eDpmdXp6LXRva2Vu\r\n\r\n`,
  `GET /api/v1/runners HTTP/1.1\r\nHost: x\r\n${BEARER}\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`,
  `OPTIONS * HTTP/1.0\r\n\r\n`,
];
const PROXY_HEADERS: readonly string[] = [
  "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
  "PROXY TCP6 ::1 ::2 65535 0\r\n",
  "PROXY UNKNOWN\r\n",
  "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02",
  "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
  "\r\n\r\n\0\r\nQUIT\n\x21\x31\xff\xff",
];
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const REQUESTS: readonly (readonly (readonly [string, string])[])[] = [
  [[":method", "GET"], [":path", "/api/v1/runners/r/targets/t/"], [":scheme", "http"], [":authority", "x"]],
  [[":method", "POST"], [":path", "/api/v1/runners/r/targets/t/"], [":scheme", "http"], [":authority", "x"]],
  [[":method", "CONNECT"], [":authority", "t.r:80"]],
  [[":method", "CONNECT"], [":protocol", "websocket"], [":path", "/api/v1/runners/r/targets/t/"], [":scheme", "http"], [":authority", "x"], ["sec-websocket-version", "13"]],
  [[":method", "CONNECT"], [":protocol", "ptth"], [":path", "/api/v1/revdial?runnerid=evil"], [":scheme", "http"], [":authority", "x"], ["alpn", "h2"]],
]; // prettier-ignore

function http2Bytes(random: Random): string {
  const frames = [encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0))];
  const streams: number[] = [];
  for (let id = 1; id < 2 * (2 + random.int(5)); id += 2) {
    streams.push(id);
    const list = [...random.pick(REQUESTS), ["authorization", `Bearer ${TOKEN}`] as const];
    if (random.chance(3)) list.push(...someFields(random, 4));
    if (random.chance(8)) list.sort(() => random.int(3) - 1);
    frames.push(headers(id, list, random.chance(2)));
    if (random.chance(2)) frames.push(dataFrame(id, random.bytes(random.int(100)), random.chance(2)));
    while (random.chance(3)) frames.push(anyFrame(random, streams));
  }
  const text = PREFACE + Buffer.concat(frames).toString("latin1");
  return random.chance(3) ? mutated(random, text) : text;
}

/** An agent's first bytes after its upgrade, or nearly. */
function agentBytes(random: Random): string {
  const hello = nearlyJson(random, { protocol: "1", instance: '"a"', runners: '[{"id":"evil"}]' }, 4);
  const frames = [
    encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.from([0, 8, 0, 0, 0, 1])),
    headers(1, [[":status", "200"]], false),
    dataFrame(1, hello, true),
    anyFrame(random, [1]),
  ];
  return mutated(random, Buffer.concat(frames).toString("latin1"));
}

function bytesOf(random: Random): string {
  switch (random.int(8)) {
    case 0:
      return random.bytes(1 + random.int(400));
    case 1:
      return `\x16\x03\x01${random.bytes(1 + random.int(300))}`;
    case 2:
    case 3:
      return http2Bytes(random);
    case 4:
      return HTTP1[0] + agentBytes(random);
    case 5:
      return `${HTTP1[1]}\x82${random.bytes(random.int(200))}`;
    default:
      return mutated(random, random.pick(HTTP1));
  }
}

async function connect(random: Random): Promise<Socket> {
  const isFront = random.chance(4);
  const raw = net.connect({ port, host: "127.0.0.1", ...(isFront && { localAddress: PROXY_ADDRESS }) });
  raw.on("error", () => {}); // permanent
  if (isFront) {
    const header = random.pick(PROXY_HEADERS);
    raw.write(random.chance(2) ? mutated(random, header) : header, "latin1");
  }
  if (!random.chance(4)) return raw;
  const ALPNProtocols = random.pick([["h2"], ["http/1.1"], ["rh2"], ["h2-reverse"], [], ["h2", "http/1.1"]]);
  const socket = tls.connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols });
  socket.on("error", () => {}); // permanent
  await new Promise<void>((resolve) => {
    socket.once("secureConnect", resolve);
    raw.once("close", () => resolve());
    // After a bad PROXY header there is no handshake.
    setTimeout(() => resolve(), 1_000).unref();
  });
  return socket;
}

/** Says all of it, and then nothing more: whatever the server made of it has to end by itself. */
async function exchange(random: Random): Promise<void> {
  const socket = await connect(random);
  const bytes = bytesOf(random);
  const closed = new Promise<void>((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });
  if (!random.chance(8)) socket.resume();
  const cut = random.chance(3) ? random.int(bytes.length) : 0;
  socket.write(bytes.slice(0, cut), "latin1");
  if (cut > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  socket.write(bytes.slice(cut), "latin1");
  const pauseMs = random.int(40);
  const ending = random.int(4);
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  if (ending === 0 && !(socket instanceof tls.TLSSocket)) socket.resetAndDestroy();
  else if (ending === 1) socket.destroy();
  else socket.end();
  socket.resume();
  await closed;
}

function askNeighbour(): Promise<string> {
  return new Promise((resolve) => {
    const path = "/api/v1/runners/r/targets/t/";
    const options = { port, path, agent: false, localAddress: NEIGHBOUR_ADDRESS };
    const request = get({ ...options, headers: { authorization: `Bearer ${TOKEN}` } }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
      response.once("close", () => resolve(text));
    });
    request.on("error", (error) => resolve(error.message));
  });
}

await runCases(AT_ONCE, async (n) => {
  // Each has its own choices, so that one can be repeated alone.
  await report.within(exchange(new Random(seed * 1_000_003 + n)), `connection ${n}`, DEADLINE_MS);
  if (n % 8 !== 0) return;
  const text = await report.within(askNeighbour(), "the neighbour", DEADLINE_MS);
  if (text !== "whole") report.add(`after ${n}: the neighbour got ${JSON.stringify(text)}`);
});
await endWith(report, { agent, controlPlane }, DEADLINE_MS);
