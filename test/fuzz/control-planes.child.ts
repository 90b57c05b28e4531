/**
 * Agents in a process without any handler for uncaught errors, dialled in to a control plane that responds with garbage at
 * every step, on every carrier. Each agent has to close, with all its connections, and one of a good control plane has to
 * work on. Prints what was wrong, one line each.
 *
 *     node test/fuzz/control-planes.child.ts SEED COUNT
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import net from "node:net";
import type { Socket } from "node:net";
import tls from "node:tls";
import { createAgent } from "../../src/index.ts";
import { isReversedAlpn } from "../../src/wire/tls/alpn.ts";
import { REVERSED_ALPN, WEBSOCKET_SUBPROTOCOL } from "../../src/wire/protocol.ts";
import { dataFrame, encodeFrame, FLAG, FRAME, rstFrame, uint32 } from "../support/http2-frames.ts";
import type { Field } from "../support/http2-frames.ts";
import { createPki, issueServer } from "../support/pki.ts";
import { tempPath } from "../support/temp.ts";
import { anyFrame, anyJson, headers, nearlyJson, someFields, STATUSES } from "./http2-garbage.ts";
import { mutated } from "./mutated.ts";
import { Random } from "./random.ts";
import { Report } from "./report.ts";
import { connectAgent, getText, listenOn, runCases, seed, startControlPlane, TOKEN } from "./stand.ts";

const AT_ONCE = 8;
const DEADLINE_MS = 30_000;
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const report = new Report();
const address = await listenOn(createServer((_request, response) => response.end("whole")));
const good = await startControlPlane(report);
const neighbour = await connectAgent(good, { r: { t: address } }, { log: report.logger });

const pki = await createPki();
const credential = await issueServer(pki);
const caFile = tempPath(".pem");
writeFileSync(caFile, pki.ca);

const bytesOf = (frames: readonly Buffer[]): string => Buffer.concat(frames).toString("latin1");
const settings = (random: Random): Buffer =>
  encodeFrame(
    FRAME.SETTINGS,
    0,
    0,
    random.chance(4)
      ? Buffer.concat([
          Buffer.from([0, random.int(10)]),
          uint32(random.pick([0, 1, 2, 65_535, 4_294_967_295])),
        ])
      : Buffer.from([0, 8, 0, 0, 0, 1]),
  );

function requestFields(random: Random): Field[] {
  const agent: Field = [":authority", "agent"];
  const scheme: Field = [":scheme", "http"];
  switch (random.int(6)) {
    case 0:
    case 1:
      return [[":method", "GET"], [":path", "/hello"], scheme, agent];
    case 2:
      return [[":method", "GET"], [":path", random.pick(["/events", "/metrics", "/credential", "/ping", "/x"])], scheme, agent];
    case 3:
      return [[":method", "POST"], [":path", "/notices"], scheme, agent];
    case 4:
      return [[":method", "CONNECT"], [":authority", random.pick(["t.r", "t.r:80", "x.r", "", "t.r:99999", "127.0.0.1:1"])]];
    default:
      return [
        [":method", "CONNECT"],
        [":protocol", random.pick(["websocket", "x"])],
        [":path", random.pick(["/", "*", "//x", "/a b"])],
        scheme,
        [":authority", "t.r"],
        ["sec-websocket-version", "13"],
      ];
  }
} // prettier-ignore

function goaway(random: Random): Buffer {
  const data = random.chance(3)
    ? anyJson(random)
    : nearlyJson(random, { reason: '"draining"', message: '"x"', reconnectSpreadMs: "10" }, 3);
  const head = [uint32(random.pick([0, 1, 2_147_483_647])), uint32(random.pick([0, 0, 1, 11, 14]))];
  return encodeFrame(FRAME.GOAWAY, 0, 0, Buffer.concat([...head, Buffer.from(data.slice(0, 8_000))]));
}

/** A control plane's bytes on a tunnel connection. */
function sessionBytes(random: Random): string {
  const frames = [settings(random)];
  const streams: number[] = [];
  for (let id = 1; id < 2 * (1 + random.int(8)); id += 2) {
    streams.push(id);
    const fields = requestFields(random);
    if (random.chance(3)) fields.push(...someFields(random, 4));
    frames.push(headers(id, fields, random.chance(2)));
    if (random.chance(2)) {
      const notice = nearlyJson(random, { refused: "[]", certificate: "null", replaced: '["r"]' }, 3);
      frames.push(dataFrame(id, random.chance(2) ? notice.slice(0, 16_000) : random.bytes(50), random.chance(2)));
    }
    if (random.chance(5)) frames.push(rstFrame(id, random.int(14)));
    while (random.chance(10)) frames.push(anyFrame(random, streams));
  }
  if (random.chance(3)) frames.push(goaway(random));
  if (random.chance(6)) frames.sort(() => random.int(3) - 1);
  const text = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${bytesOf(frames)}`;
  return random.chance(8) ? mutated(random, text) : text;
} // prettier-ignore

function webSocketFrames(random: Random, text: string): string {
  let frames = "";
  for (let at = 0; at < text.length; at += 1_000) {
    const piece = text.slice(at, at + 1_000);
    const opcode = random.chance(10) ? random.int(16) : 2;
    frames += String.fromCharCode(0x80 | opcode, 126, piece.length >> 8, piece.length & 255) + piece;
  }
  return random.chance(4) ? mutated(random, frames) : frames;
}

/** To an upgrade request, as an HTTP/1.1 server. */
function responseToUpgrade(random: Random, request: string): string {
  if (random.chance(6)) return mutated(random, refusal(random));
  const key = /sec-websocket-key: *(\S+)/i.exec(request)?.[1];
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade"];
  if (key === undefined) lines.push("Upgrade: ptth", "ALPN: h2");
  else {
    const accept = createHash("sha1")
      .update(key + WEBSOCKET_GUID)
      .digest("base64");
    lines.push("Upgrade: websocket", `Sec-WebSocket-Accept: ${accept}`);
    lines.push(`Sec-WebSocket-Protocol: ${WEBSOCKET_SUBPROTOCOL}`);
  }
  const head = `${lines.join("\r\n")}\r\n\r\n`;
  const session = sessionBytes(random);
  return (
    (random.chance(6) ? mutated(random, head) : head) +
    (key === undefined ? session : webSocketFrames(random, session))
  );
}

function refusal(random: Random): string {
  const body = random.chance(2)
    ? nearlyJson(random, { error: '{"code":"not_allowed","message":"x"}' }, 3)
    : random.bytes(random.int(300));
  const fields = someFields(random, 4).map(([name, value]) => `${name}: ${value}\r\n`);
  const early = random.chance(4) ? "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(random.int(20)) : "";
  return (
    `${early}HTTP/1.1 ${random.pick(STATUSES)} x\r\n` +
    `Location: ${random.pick(["/", "http://[", "//x", "http://a:b@127.0.0.1:1/?q"])}\r\n` +
    `Retry-After: ${random.pick(["0", "-1", "1e300", "x", "99999999999999999999"])}\r\n` +
    `Turnabout-Version: 1\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${fields.join("")}\r\n${body}`
  );
} // prettier-ignore

/** To an Extended CONNECT, as an HTTP/2 server. */
function responseToHttp2(random: Random): string {
  const status = random.chance(3) ? random.pick(STATUSES) : "200";
  const frames = [
    settings(random),
    encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)),
    headers(1, [[":status", status], ["alpn", random.pick(["h2", "h2", "h3"])], ...someFields(random, 2)], random.chance(8)),
    dataFrame(1, sessionBytes(random).slice(0, 16_000), random.chance(4)),
  ];
  while (random.chance(3)) frames.push(anyFrame(random, [1]));
  if (random.chance(5)) frames.push(goaway(random));
  if (random.chance(6)) frames.sort(() => random.int(3) - 1);
  const text = bytesOf(frames);
  return random.chance(4) ? mutated(random, text) : text;
} // prettier-ignore

function respond(random: Random, socket: Socket): void {
  socket.on("error", () => {}); // permanent
  socket.setTimeout(1_000, () => socket.destroy());
  const isReversed = socket instanceof tls.TLSSocket && isReversedAlpn(socket.alpnProtocol);
  const send = (text: string): void => {
    const cut = random.chance(3) ? random.int(text.length) : 0;
    if (cut > 0) socket.write(text.slice(0, cut), "latin1");
    setImmediate(() => {
      if (socket.destroyed) return;
      socket.write(text.slice(cut), "latin1");
      const ending = random.int(6);
      if (ending === 0) socket.end();
      else if (ending === 1) socket.destroy();
      // What is left open gives the agent time to respond; then it is lost.
      else setTimeout(() => socket.destroy(), 20 + random.int(150));
    });
  };
  if (random.chance(20)) return send(random.bytes(random.int(300)));
  if (isReversed) send(sessionBytes(random));
  let seen = "";
  const onData = (chunk: Buffer): void => {
    seen += chunk.toString("latin1");
    if (isReversed) seen = "";
    else if (seen.startsWith("PRI * HTTP/2.0")) {
      send(responseToHttp2(random));
      socket.off("data", onData);
      socket.resume();
    } else if (seen.includes("\r\n\r\n")) {
      send(responseToUpgrade(random, seen));
      socket.off("data", onData);
      socket.resume();
    }
  };
  socket.on("data", onData);
}

/** One control plane and one agent, for a few of the agent's attempts. */
async function exchange(random: Random): Promise<void> {
  const isTls = random.chance(3);
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket): void => respond(random, socket);
  const server = isTls
    ? tls.createServer({ ...credential, ALPNProtocols: [...REVERSED_ALPN, "h2", "http/1.1"] }, onSocket)
    : net.createServer(onSocket);
  server.on("tlsClientError", () => {});
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // permanent
    socket.once("close", () => sockets.delete(socket));
  });
  const authority = await listenOn(server);
  const agent = createAgent({
    server: isTls ? `https://${authority.replace("127.0.0.1", "localhost")}` : `http://${authority}`,
    ...(isTls && { caFile }),
    token: { value: TOKEN },
    carrier: random.pick(["auto", "ptth", "websocket", "h2", ...(isTls ? (["rh2"] as const) : [])]),
    connections: 1 + random.int(2),
    runners: { r: { t: address } },
    attemptTimeoutMs: 500,
    backoffBaseMs: 10,
    backoffCapMs: 100,
    drainMs: 200,
    log: report.logger,
  });
  await new Promise((resolve) => setTimeout(resolve, 100 + random.int(500)));
  await agent.close();
  server.close();
  await Promise.all(
    [...sockets].map((socket) => new Promise<void>((resolve) => void socket.once("close", () => resolve()))),
  );
}

await runCases(AT_ONCE, async (n) => {
  await report.within(exchange(new Random(seed * 1_000_003 + n)), `control plane ${n}`, DEADLINE_MS);
  const path = "/api/v1/runners/r/targets/t/";
  const response = await report.within(getText(good.port, path), "the neighbour", DEADLINE_MS);
  if (response?.text !== "whole") report.add(`after ${n}: the neighbour got ${JSON.stringify(response)}`);
});
await report.within(Promise.all([neighbour.close(), good.close()]), "the end", DEADLINE_MS);
report.end();
